package sessionstore_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The state machine takes random walks through all that can happen to a few
// sessions. It compares every answer, and after every step every row, with a
// model: a map of plain structs (statemachine_model_test.go) and the cases of the
// protocol's text.
//
//	go test ./sessionstore -run StateMachine -rapid.checks 2000 -rapid.steps 60

// A frozenClock stands in for the database's clock: it moves only on command, so
// that a walk meets the very microsecond in which a window closes. The replica's own
// may be off by anything, and jumps.
type frozenClock struct {
	at  time.Time
	off time.Duration // how far the replica's clock is ahead
}

func (c *frozenClock) now() time.Time { return c.at }

func (c *frozenClock) replica() time.Time { return c.at.Add(c.off) }

const frozenClockSchema = testdb.FrozenClock + `
-- The state that a failover falls back to.
CREATE TABLE "clock"."standbyStore" AS TABLE "sessionStore";
CREATE TABLE "clock"."standbyToken" AS TABLE "sessionStoreToken";
CREATE TABLE "clock"."standbyEra" AS TABLE "sessionStoreEra"`

// walk is one random walk.
type walk struct {
	*walker
	sessions        map[uuid.UUID]modelSession
	standby         map[uuid.UUID]modelSession // nil: none
	ids             []uuid.UUID                // of all sessions that ever were
	refresh, access []heldToken
}

// walker is the state that all walks share.
type walker struct {
	store    *sessionstore.Store
	pool     *pgxpool.Pool
	clock    *frozenClock
	signer   *tokens.Signer
	verifier *tokens.Verifier
	met      map[string]int // how often each answer was given
}

func newWalker(t *testing.T) *walker {
	t.Helper()
	w := &walker{clock: &frozenClock{}, met: map[string]int{}}
	cfg := config()
	cfg.LateRetryLimit = walkLateRetryLimit
	cfg.Tokens.Now = w.clock.replica

	k := setupFast(t, config()) // for its database and its keys
	k.exec(t, frozenClockSchema)
	poolConfig, err := pgxpool.ParseConfig(k.pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	poolConfig.ConnConfig.RuntimeParams["search_path"] = testdb.FrozenPath
	if w.pool, err = pgxpool.NewWithConfig(t.Context(), poolConfig); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.pool.Close)
	w.store = newStore(t, w.pool, k.ring, cfg)
	cfg.Tokens.Now = w.clock.now
	if w.signer, err = tokens.NewSigner(k.ring, cfg.Tokens); err != nil {
		t.Fatal(err)
	}
	if w.verifier, err = tokens.NewVerifier(k.ring, cfg.Tokens); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *walker) exec(t *rapid.T, sql string, args ...any) {
	if _, err := w.pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func TestStateMachine(t *testing.T) {
	t.Parallel()
	w := newWalker(t)
	rapid.Check(t, func(t *rapid.T) { w.walk(t) })
	t.Logf("answers: %v", w.met)
	// A walk that meets less than this proves nothing.
	for _, answer := range []string{
		"rotated", "still_fresh", "raced", "retried_late", "healed", "old", "stale", "lockstep", "refresh: ended",
		"get: superseded", "get: replaced within the grace", "get: ended", "get: expired", "get: confirmed", "get: too early to confirm", "get: of a lost generation", "update: conflict", "update: ended",
		"patch", "patch: ended", "patch: does not fit", "supersede", "supersede: ended", "replace", "replace: not replaceable", "everyone is signed out",
	} {
		if w.met[answer] == 0 {
			t.Errorf("not met: %s", answer)
		}
	}
}

func (w *walker) walk(t *rapid.T) {
	// After the ids' own times, which are the machine's.
	w.clock.at = time.Now().Add(time.Hour).Truncate(time.Microsecond).UTC()
	w.clock.off = 0
	s := &walk{walker: w, sessions: map[uuid.UUID]modelSession{}}
	w.exec(t, `UPDATE "clock"."time" SET "at" = $1`, w.clock.at)
	w.exec(t, `DELETE FROM "sessionStore"`)
	s.create(t)
	actions := map[string]func(*rapid.T){"": s.check}
	for name, action := range map[string]struct {
		weight int
		do     func(*rapid.T)
	}{
		"create":              {1, s.create},
		"get newest":          {3, s.getNewest},
		"get any":             {1, s.getAny},
		"get lost":            {2, s.getLost},
		"refresh newest":      {4, s.refreshBehind(0)},
		"refresh predecessor": {3, s.refreshBehind(1)},
		"refresh older":       {1, s.refreshBehind(2)},
		"refresh lost":        {3, s.refreshBehind(-1)},
		"retry late":          {2, s.retryLate},
		"hurry":               {2, s.hurry},
		"mix tokens up":       {1, s.mixUp},
		"update":              {3, s.update},
		"patch":               {2, s.patch},
		"supersede":           {1, s.supersede},
		"replace":             {2, s.replace},
		"invalidate":          {1, s.invalidate},
		"invalidate subject":  {1, s.invalidateSubject},
		"sign everyone out":   {1, s.signOutAll},
		"list":                {1, s.list},
		"load":                {1, s.load},
		"clean up":            {1, s.cleanUp},
		"pass":                {3, s.pass},
		"pass to a limit":     {3, s.passToLimit},
		"the replica is off":  {2, s.skew},
		"standby lags":        {1, s.lag},
		"fail over":           {1, s.failOver},
		"lose commits":        {2, s.loseCommits},
	} {
		for i := range action.weight {
			actions[name+strings.Repeat("'", i)] = action.do
		}
	}
	t.Repeat(actions)
}

func (s *walk) drawSession(t *rapid.T) uuid.UUID { return rapid.SampledFrom(s.ids).Draw(t, "session") }

var walkData = []string{`{}`, `{"n":1}`, `{"n":1.5,"b":[true]}`}

// spellings are other ways to write walkData.
var spellings = []string{` { } `, `{"n":10e-1}`, `{"b":[true], "n":15e-1}`}

func (s *walk) create(t *rapid.T) {
	if len(s.sessions) == 4 {
		t.Skip("enough")
	}
	now := s.clock.at
	data := rapid.IntRange(0, len(walkData)-1).Draw(t, "data")
	own := rapid.SampledFrom([]sessionstore.Lifetimes{
		{}, {}, {AccessToken: time.Minute, RefreshToken: 10 * time.Minute}, {Session: 30 * time.Minute},
	}).Draw(t, "lifetimes")
	m := modelSession{
		subject: rapid.SampledFrom([]string{"ann", "bob", ""}).Draw(t, "subject"), data: walkData[data],
		created: now, updated: now, lifetimes: own,
	}
	if own.AccessToken == 0 {
		m.lifetimes.AccessToken, m.lifetimes.RefreshToken = sessionstore.DefaultAccessTokenTTL, sessionstore.DefaultRefreshTokenTTL
	}
	if own.Session != 0 {
		m.end = now.Add(own.Session)
	}
	m.expires, m.accessExpires = m.capped(now.Add(m.lifetimes.RefreshToken)), m.capped(now.Add(m.lifetimes.AccessToken))

	session, pair, err := s.store.Create(t.Context(), sessionstore.CreateParams{Subject: m.subject, Data: []byte(spellings[data]), Lifetimes: own})
	if err != nil {
		t.Fatal(err)
	}
	s.ids = append(s.ids, session.ID)
	s.answered(t, session.ID, &m, pair)
	s.sessions[session.ID] = m
}

// answered checks a pair that was made just now, and gives it to the clients.
func (s *walk) answered(t *rapid.T, id uuid.UUID, m *modelSession, pair sessionstore.TokenPair) {
	refresh, err := s.verifier.Verify(string(pair.RefreshToken), tokens.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	access, err := s.verifier.Verify(string(pair.AccessToken), tokens.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	if m.pairID == uuid.Nil {
		m.pairID = refresh.TokenID
	}
	type facts struct {
		Session, Row uuid.UUID
		Generation   int64
		Subject      string
		Expires      time.Time
	}
	said := func(c tokens.Claims) facts {
		return facts{c.SessionID, c.TokenID, c.Generation, c.Subject, c.ExpiresAt}
	}
	want := []facts{
		{id, m.pairID, m.generation, m.subject, m.expires.Truncate(time.Second)},
		{id, m.pairID, m.accessGeneration, m.subject, m.accessExpires.Truncate(time.Second)},
	}
	if diff := cmp.Diff(want, []facts{said(refresh), said(access)}); diff != "" {
		t.Fatalf("the new pair's claims: %s", diff)
	}
	m.refreshJWT, m.accessJWT = pair.RefreshToken, pair.AccessToken
	s.samePair(t, m, pair)
	s.refresh = append(s.refresh, heldToken{id, m.generation, pair.RefreshToken, refresh.IssuedAt, m.expires})
	s.access = append(s.access, heldToken{id, m.accessGeneration, pair.AccessToken, access.IssuedAt, m.accessExpires})
}

func (s *walk) samePair(t *rapid.T, m *modelSession, pair sessionstore.TokenPair) {
	want := sessionstore.TokenPair{
		AccessToken: m.accessJWT, RefreshToken: m.refreshJWT,
		AccessTokenExpiresAt: m.accessExpires, RefreshTokenExpiresAt: m.expires, AnsweredAt: s.clock.at,
	}
	if diff := cmp.Diff(want, pair); diff != "" || want.AccessToken != pair.AccessToken || want.RefreshToken != pair.RefreshToken {
		t.Fatalf("not the session's pair: %s", diff)
	}
}

// skew sets the replica's clock, which decides nothing.
func (s *walk) skew(t *rapid.T) {
	s.clock.off = rapid.SampledFrom([]time.Duration{
		0, time.Second, -time.Second, 20 * time.Second, -20 * time.Second, time.Hour, -time.Hour, 24 * time.Hour, -24 * time.Hour,
	}).Draw(t, "off")
}

func (s *walk) getNewest(t *rapid.T) {
	id := s.drawSession(t)
	newest := s.sessions[id].accessJWT
	i := slices.IndexFunc(s.access, func(h heldToken) bool { return h.jwt == newest })
	if i < 0 {
		t.Skip("the session is gone")
	}
	s.get(t, s.access[i])
}

// getLost presents an access token that the database forgot. Since then it may
// have given its generation to another.
func (s *walk) getLost(t *rapid.T) {
	for _, held := range s.access {
		m, exists := s.sessions[held.session]
		if exists && held.generation >= m.accessGeneration && held.jwt != m.accessJWT {
			s.get(t, held)
			return
		}
	}
	t.Skip("nobody has such a token")
}

func (s *walk) getAny(t *rapid.T) {
	s.get(t, s.access[rapid.IntRange(0, len(s.access)-1).Draw(t, "access token")])
}

func (s *walk) get(t *rapid.T, held heldToken) {
	now := s.clock.at
	got, _, err := s.store.Get(t.Context(), string(held.jwt))
	m, exists := s.sessions[held.session]
	switch {
	case !exists:
		s.want(t, "get: not found", err, sessionstore.ErrNotFound)
	case m.endedFor(held.generation, m.accessGeneration, now):
		s.want(t, "get: ended", err, sessionstore.ErrEnded)
	case held.generation < m.accessGeneration && !m.acceptsBefore(held.generation, now):
		s.want(t, "get: superseded", err, sessionstore.ErrSuperseded)
	case held.expired(now), held.generation == m.accessGeneration && !now.Before(m.accessExpires):
		s.want(t, "get: expired", err, tokens.ErrExpired)
	default:
		s.want(t, "get", err, nil)
		s.sameSession(t, held.session, m, got, sessionstore.Ending{}) // the token is good
		switch {
		case held.generation < m.accessGeneration: // confirms nothing
			s.met["get: replaced within the grace"]++
		case !m.isNewest(held): // the token of a pair that the database forgot confirms no other
			s.met["get: of a lost generation"]++
		case m.confirmed.IsZero():
			if m.confirm(now); !m.confirmed.IsZero() {
				s.met["get: confirmed"]++
			} else {
				s.met["get: too early to confirm"]++
			}
		}
		s.sessions[held.session] = m
	}
}

func (s *walk) want(t *rapid.T, answer string, err, want error) {
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", answer, err, want)
	}
	s.met[answer]++
}

func (s *walk) sameSession(t *rapid.T, id uuid.UUID, m modelSession, got sessionstore.Session, ended sessionstore.Ending) {
	checksum, err := sessionstore.Checksum([]byte(m.data))
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := sessionstore.Checksum(got.Data); err != nil || sum != checksum {
		t.Fatalf("the data is %s (%v), want %s", got.Data, err, m.data)
	}
	want := sessionstore.Session{
		ID: id, Subject: m.subject, ClientID: config().Tokens.ClientID, Data: got.Data, Checksum: checksum,
		CreatedAt: m.created, UpdatedAt: m.updated, RefreshedAt: m.issued, ExpiresAt: m.expires, RevokedAt: m.revoked,
		Ended: ended,
	}
	if m.revoked.IsZero() && ended.Reason == sessionstore.ReasonAllSignedOut {
		want.RevokedAt = ended.At
	}
	if m.claims != "" {
		want.Claims = []byte(m.claims)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

// refreshBehind presents a token that is this many generations behind the row's:
// 2 represents all older ones, -1 those that the database lost.
func (s *walk) refreshBehind(behind int64) func(*rapid.T) {
	return func(t *rapid.T) {
		var candidates []heldToken
		for _, held := range s.refresh {
			m, exists := s.sessions[held.session]
			if exists && min(max(m.generation-held.generation, -1), 2) == behind {
				candidates = append(candidates, held)
			}
		}
		if behind == 2 && len(candidates) == 0 { // or of a session that is gone
			candidates = s.refresh
		}
		if len(candidates) == 0 {
			t.Skip("nobody has such a token")
		}
		s.present(t, candidates[rapid.IntRange(0, len(candidates)-1).Draw(t, "refresh token")])
	}
}

// retryLate refreshes several times, slowly, and loses answers.
func (s *walk) retryLate(t *rapid.T) {
	id := s.drawSession(t)
	for range rapid.IntRange(1, walkLateRetryLimit+2).Draw(t, "generations") {
		for _, behind := range []int64{0, 1} {
			m := s.sessions[id]
			i := slices.IndexFunc(s.refresh, func(h heldToken) bool { return h.session == id && h.generation == m.generation-behind })
			if i < 0 || m.ended(s.clock.at) {
				return
			}
			s.present(t, s.refresh[i])
			s.passBy(t, settles)
			if rapid.IntRange(0, 3).Draw(t, "arrived") == 0 {
				break
			}
		}
	}
}

// hurry rotates a pair as early as it can be, or shortly before its session's
// end, and uses the new one at once.
func (s *walk) hurry(t *rapid.T) {
	id := s.drawSession(t)
	m := s.sessions[id]
	until := m.issued.Add(fresh)
	if late := m.end.Add(-2 * fresh); rapid.Bool().Draw(t, "late") && late.After(until) {
		until = late
	}
	if until.After(s.clock.at) {
		s.passBy(t, until.Sub(s.clock.at))
	}
	for _, held := range s.refresh {
		if m := s.sessions[id]; held.jwt == m.refreshJWT {
			s.present(t, held)
			break
		}
	}
	for _, held := range s.access {
		if m := s.sessions[id]; held.jwt == m.accessJWT {
			s.get(t, held)
			return
		}
	}
	t.Skip("the session is gone")
}

func (s *walk) present(t *rapid.T, held heldToken) {
	now := s.clock.at
	got, err := s.store.RefreshTokens(t.Context(), string(held.jwt), sessionstore.Client{})
	m, exists := s.sessions[held.session]
	if !exists {
		s.want(t, "refresh: not found", err, sessionstore.ErrNotFound)
		return
	}
	behind := m.generation - held.generation
	outcome, theft := m.refresh(held.generation, held.expired(now), now)
	switch outcome {
	case sessionstore.Refused:
		s.want(t, "refresh: ended", err, sessionstore.ErrEnded)
	case sessionstore.Stolen:
		s.want(t, string(theft), err, sessionstore.ErrReuse)
		want := sessionstore.ReuseError{SessionID: held.session, Subject: m.subject, ClientID: config().Tokens.ClientID, Theft: theft, Behind: behind}
		if reuse, ok := errors.AsType[*sessionstore.ReuseError](err); !ok || *reuse != want {
			t.Fatalf("theft %+v, want %+v", reuse, want)
		}
	case sessionstore.Rotated, sessionstore.StillFresh, sessionstore.Raced, sessionstore.RetriedLate, sessionstore.Healed:
		s.want(t, outcome.String(), err, nil)
		if got.Outcome != outcome || got.SessionID != held.session {
			t.Fatalf("%v of %v, want %v of %v", got.Outcome, got.SessionID, outcome, held.session)
		}
		s.refreshed(t, held.session, &m, got)
	}
	s.sessions[held.session] = m
}

// refreshed checks the pair that was the answer.
func (s *walk) refreshed(t *rapid.T, id uuid.UUID, m *modelSession, got sessionstore.Refreshed) {
	switch got.Outcome {
	case sessionstore.StillFresh, sessionstore.Raced:
		if m.accessJWT != "" && m.refreshJWT != "" {
			s.samePair(t, m, got.Pair)
			return
		}
		s.met["another access token"]++
	case sessionstore.RetriedLate:
		if got.Pair.RefreshToken != m.refreshJWT && m.refreshJWT != "" {
			t.Fatal("a late retry gave another refresh token")
		}
	case sessionstore.Healed:
		// The protocol does not say how many access tokens were lost, only that
		// none of the row's is newer than the answer's.
		claims, err := s.verifier.Verify(string(got.Pair.AccessToken), tokens.AccessToken)
		if err != nil || claims.Generation < m.accessGeneration {
			t.Fatalf("healed: access token %d, want at least %d (%v)", claims.Generation, m.accessGeneration, err)
		}
		m.accessGeneration = claims.Generation
	case sessionstore.Rotated, sessionstore.Refused, sessionstore.Stolen:
	}
	s.answered(t, id, m, got.Pair)
}

// mixUp presents tokens that are signed by us and name rows that do not belong together.
func (s *walk) mixUp(t *rapid.T) {
	a, b := s.drawSession(t), s.drawSession(t)
	row := s.sessions[b].pairID
	if row == uuid.Nil {
		t.Skip("the session is gone")
	}
	if a == b {
		row = uuid.New()
	}
	for _, typ := range []tokens.Type{tokens.RefreshToken, tokens.AccessToken} {
		jwt, err := s.signer.Sign(tokens.Claims{
			Type: typ, SessionID: a, TokenID: row, Generation: rapid.Int64Range(0, 3).Draw(t, "generation"),
			IssuedAt: s.clock.at, ExpiresAt: s.clock.at.Add(time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.store.RefreshTokens(t.Context(), string(jwt), sessionstore.Client{})
		_, _, getErr := s.store.Get(t.Context(), string(jwt))
		if typ == tokens.AccessToken {
			err, getErr = getErr, err
		}
		s.want(t, "mixed up", err, sessionstore.ErrNotFound)
		s.want(t, "wrong type", getErr, tokens.ErrWrongType)
	}
}

func (s *walk) update(t *rapid.T) {
	id := s.drawSession(t)
	read := rapid.SampledFrom(walkData).Draw(t, "read")
	m, exists := s.sessions[id]
	if rapid.Bool().Draw(t, "current") && exists {
		read = m.data
	}
	next := rapid.IntRange(0, len(walkData)-1).Draw(t, "data")
	from, _ := sessionstore.Checksum([]byte(read))
	to, _ := sessionstore.Checksum([]byte(walkData[next]))

	got, err := s.store.Update(t.Context(), id, from, []byte(spellings[next]))
	var conflict *sessionstore.ConflictError
	switch {
	case from == to:
		s.want(t, "update: unchanged", err, nil)
	case !exists:
		s.want(t, "update: not found", err, sessionstore.ErrNotFound)
	case m.ended(s.clock.at):
		s.want(t, "update: ended", err, sessionstore.ErrEnded)
	case read != m.data:
		s.want(t, "update: conflict", err, sessionstore.ErrConflict)
		if current, _ := sessionstore.Checksum([]byte(m.data)); !errors.As(err, &conflict) || conflict.Checksum != current {
			t.Fatalf("the conflict says %+v, the data is %s", conflict, m.data)
		}
	default:
		s.want(t, "update", err, nil)
		m.data, m.updated = walkData[next], s.clock.at
		s.sessions[id] = m
	}
	if err == nil && got != to {
		t.Fatalf("checksum %s, want %s", got, to)
	}
}

// invalidate ends a session by its id, by its owner, or by one of its tokens.
func (s *walk) invalidate(t *rapid.T) {
	id := s.drawSession(t)
	m, exists := s.sessions[id]
	var err error
	want, cause := sessionstore.ErrNotFound, sessionstore.Cause{Reason: sessionstore.ReasonBackend}
	switch how := rapid.SampledFrom([]string{"id", "owner", "token"}).Draw(t, "by"); how {
	case "id":
		err = s.store.Invalidate(t.Context(), id)
	case "owner":
		subject := rapid.SampledFrom([]string{"ann", "bob", ""}).Draw(t, "owner")
		cause = sessionstore.Cause{Reason: sessionstore.ReasonSignedOutElsewhere, By: "another"}
		err = s.store.InvalidateOwn(t.Context(), subject, id, cause)
		exists = exists && subject != "" && subject == m.subject
	case "token":
		held := rapid.SampledFrom([][]heldToken{s.refresh, s.access}).Draw(t, "kind")
		token := held[rapid.IntRange(0, len(held)-1).Draw(t, "token")]
		err, want = s.store.RevokeToken(t.Context(), string(token.jwt)), nil
		id = token.session
		cause = sessionstore.SignedOut(id)
		m, exists = s.sessions[id]
	}
	if !exists {
		s.want(t, "invalidate: nothing", err, want)
		return
	}
	s.want(t, "invalidate", err, nil)
	s.revoke(id, cause)
}

func (s *walk) revoke(id uuid.UUID, cause sessionstore.Cause) {
	m := s.sessions[id]
	if m.revoked.IsZero() {
		m.revoked, m.cause = s.clock.at, cause
	}
	s.sessions[id] = m
}

func (s *walk) invalidateSubject(t *rapid.T) {
	subject := rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "subject")
	keep := uuid.Nil
	if rapid.Bool().Draw(t, "keep one") {
		keep = s.drawSession(t)
	}
	var want int64
	for id, m := range s.sessions {
		if m.subject == subject && m.revoked.IsZero() && id != keep {
			if !m.ended(s.clock.at) {
				want++
			}
			s.revoke(id, sessionstore.Cause{Reason: sessionstore.ReasonBackend})
		}
	}
	if got, err := s.store.InvalidateSubject(t.Context(), subject, keep); err != nil || got != want {
		t.Fatalf("revoked %d of %d (%v)", got, want, err)
	}
}

// signOutAll ends all sessions, and changes no row of them.
func (s *walk) signOutAll(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "seldom") > 0 {
		t.Skip("it would leave few sessions")
	}
	s.want(t, "everyone is signed out", s.store.SignOutAll(t.Context()), nil)
	for id, m := range s.sessions {
		if m.signedOut.IsZero() {
			m.signedOut = s.clock.at
		}
		s.sessions[id] = m
	}
}

func (s *walk) list(t *rapid.T) {
	subject := rapid.SampledFrom([]string{"ann", "bob"}).Draw(t, "subject")
	limit := rapid.IntRange(1, 3).Draw(t, "limit")
	var want, got []uuid.UUID
	for _, id := range slices.Backward(s.ids) {
		if m, exists := s.sessions[id]; exists && m.subject == subject && !m.ended(s.clock.at) {
			want = append(want, id)
		}
	}
	for params := (sessionstore.ListParams{Limit: limit}); ; {
		page, err := s.store.List(t.Context(), subject, params)
		if err != nil || len(page.Sessions) > limit {
			t.Fatalf("%d sessions (%v)", len(page.Sessions), err)
		}
		for _, session := range page.Sessions {
			got = append(got, session.ID)
		}
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func (s *walk) load(t *rapid.T) {
	id := s.drawSession(t)
	got, err := s.store.Load(t.Context(), id)
	m, exists := s.sessions[id]
	if !exists {
		s.want(t, "load: not found", err, sessionstore.ErrNotFound)
		return
	}
	s.want(t, "load", err, nil)
	s.sameSession(t, id, m, got, m.ending(s.clock.at))
}

func (s *walk) cleanUp(t *rapid.T) {
	rule := cleanup.Rule{
		Kind:  rapid.SampledFrom([]cleanup.Kind{cleanup.Expired, cleanup.Revoked, cleanup.Aged}).Draw(t, "kind"),
		After: rapid.SampledFrom([]time.Duration{time.Second, time.Hour, 24 * time.Hour}).Draw(t, "older than"),
	}
	if rule.Kind == cleanup.Aged {
		rule.After = 24 * time.Hour // less would leave few sessions
	}
	limit := s.clock.at.Add(-rule.After)
	if rule.Kind == cleanup.Aged {
		s.endAged(t, rule, limit)
		return
	}
	var want int64
	maps.DeleteFunc(s.sessions, func(_ uuid.UUID, m modelSession) bool {
		doomed := map[cleanup.Kind]bool{
			cleanup.Expired: m.expires.Truncate(24 * time.Hour).Before(limit.Truncate(24 * time.Hour)), // to the day
			cleanup.Revoked: !m.revoked.IsZero() && m.revoked.Before(limit) || m.revoked.IsZero() && !m.signedOut.IsZero() && m.signedOut.Before(limit),
		}[rule.Kind]
		if doomed {
			want++
		}
		return doomed
	})
	if got, err := removeSome(t.Context(), s.store, rule, 100); err != nil || got != (cleanup.Removed{Sessions: want, Pairs: want}) {
		t.Fatalf("removed %+v %s, want %d (%v)", got, rule.Kind, want, err)
	}
}

// endAged revokes what is too old.
func (s *walk) endAged(t *rapid.T, rule cleanup.Rule, limit time.Time) {
	var want int64
	for id, m := range s.sessions {
		if m.created.Before(limit) && m.revoked.IsZero() {
			s.revoke(id, sessionstore.Cause{Reason: sessionstore.ReasonMaxAge})
			want++
		}
	}
	if got, err := removeSome(t.Context(), s.store, rule, 100); err != nil || got != (cleanup.Removed{Sessions: want}) {
		t.Fatalf("ended %+v, want %d (%v)", got, want, err)
	}
}

func (s *walk) pass(t *rapid.T) {
	s.passBy(t, rapid.SampledFrom([]time.Duration{
		time.Microsecond, time.Second, grace / 2, grace, fresh, settles,
		2 * time.Minute,
	}).Draw(t, "time"))
}

func (s *walk) passBy(t *rapid.T, d time.Duration) {
	s.clock.at = s.clock.at.Add(d)
	s.exec(t, `UPDATE "clock"."time" SET "at" = $1`, s.clock.at)
}

// passToLimit lets time pass to just before, or into, the moment in which
// something about a session changes.
func (s *walk) passToLimit(t *rapid.T) {
	m, exists := s.sessions[s.drawSession(t)]
	if !exists {
		t.Skip("the session is gone")
	}
	limit := rapid.SampledFrom([]time.Time{
		m.issued.Add(grace), m.issued.Add(fresh), m.settled, m.confirmed.Add(grace), m.expires, m.end,
		m.accessExpires.Truncate(time.Second), m.expires.Truncate(time.Second),
	}).Draw(t, "limit").Add(-rapid.SampledFrom([]time.Duration{0, time.Microsecond}).Draw(t, "before"))
	if !limit.After(s.clock.at) {
		t.Skip("it is over")
	}
	s.passBy(t, limit.Sub(s.clock.at))
}

// lag is the last moment that the standby has.
func (s *walk) lag(t *rapid.T) {
	s.standby = maps.Clone(s.sessions)
	s.exec(t, `TRUNCATE "standbyStore", "standbyToken", "standbyEra"`)
	s.exec(t, `INSERT INTO "standbyStore" TABLE "sessionStore"`)
	s.exec(t, `INSERT INTO "standbyToken" TABLE "sessionStoreToken"`)
	s.exec(t, `INSERT INTO "standbyEra" TABLE "sessionStoreEra"`)
}

// failOver loses what was committed since the standby lags.
func (s *walk) failOver(t *rapid.T) {
	if s.standby == nil {
		t.Skip("no standby")
	}
	s.sessions = maps.Clone(s.standby)
	s.exec(t, `DELETE FROM "sessionStore"`)
	s.exec(t, `INSERT INTO "sessionStore" TABLE "standbyStore"`)
	s.exec(t, `INSERT INTO "sessionStoreToken" TABLE "standbyToken"`)
	s.exec(t, `DELETE FROM "sessionStoreEra"`)
	s.exec(t, `INSERT INTO "sessionStoreEra" TABLE "standbyEra"`)
}

// loseCommits is a failover in which late retries get lost.
func (s *walk) loseCommits(t *rapid.T) {
	s.lag(t)
	s.retryLate(t)
	s.failOver(t)
	for _, held := range slices.Backward(s.refresh) {
		if m, exists := s.sessions[held.session]; exists && held.generation > m.generation {
			s.present(t, held)
			return
		}
	}
}

// storedPair is a session's state as its rows have it.
type storedPair struct {
	ID                           uuid.UUID
	TokenRows, RevokedRows       int
	Revoked                      time.Time
	Generation, AccessGeneration int64
	Issued, Confirmed            time.Time
	Expires, AccessExpires       time.Time
}

const storedPairsQuery = `
SELECT s."id", (SELECT count(*) FROM "sessionStoreToken" t WHERE t."session" = s."id"),
  (SELECT count(*) FROM "sessionStoreToken" t WHERE t."session" = s."id" AND t."revokedAt" IS NOT NULL),
  s."revokedAt", r."generation", r."accessGeneration", r."issuedAt", r."confirmedAt", r."expiresAt", r."accessExpiresAt"
FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"
ORDER BY s."id"`

// check compares all rows: a step changed what the model says, and nothing else.
func (s *walk) check(t *rapid.T) {
	rows, err := s.pool.Query(t.Context(), storedPairsQuery)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p storedPair, err error) {
		var revoked, issued, confirmed *time.Time
		err = row.Scan(&p.ID, &p.TokenRows, &p.RevokedRows, &revoked, &p.Generation, &p.AccessGeneration, &issued, &confirmed, &p.Expires, &p.AccessExpires)
		for from, to := range map[*time.Time]*time.Time{revoked: &p.Revoked, issued: &p.Issued, confirmed: &p.Confirmed} {
			if from != nil {
				*to = from.UTC()
			}
		}
		p.Expires, p.AccessExpires = p.Expires.UTC(), p.AccessExpires.UTC()
		return p, err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []storedPair{}
	for _, id := range s.ids {
		if m, exists := s.sessions[id]; exists {
			p := storedPair{
				ID: id, TokenRows: 1, Revoked: m.revoked, Generation: m.generation, AccessGeneration: m.accessGeneration,
				Issued: m.issued, Confirmed: m.confirmed, Expires: m.expires, AccessExpires: m.accessExpires,
			}
			if !m.revoked.IsZero() {
				p.RevokedRows = 1
			}
			want = append(want, p)
		}
	}
	if !slices.Equal(want, got) { // asked first: cmp takes its time
		t.Fatalf("at %v the rows differ from the model's: %s", s.clock.at, cmp.Diff(want, got))
	}
}
