package sessionstore_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Several clients use the same sessions at once. Their answers must be those of
// a sequential execution in some order that is consistent with time: porcupine
// looks for that order.
//
// The clock is taken out of play: a history lasts some milliseconds, and the
// grace is either so long that no window ends in it, or a microsecond, so that
// each has ended when the next request arrives.

// operation is what a client does.
type operation string

const (
	begins      operation = "begin" // no call: the session's state before all calls
	refreshes   operation = "refresh"
	gets        operation = "get"
	confirms    operation = "confirm" // no call: what a successful Get does off its answer's path
	loads       operation = "load"
	updates     operation = "update"
	invalidates operation = "invalidate"
	replaces    operation = "replace"
	supersedes  operation = "supersede"
	patches     operation = "patch"
)

// call is the input of an operation.
type call struct {
	operation
	session    int
	begin      serial
	generation int64  // of the presented token
	from, to   string // checksums
}

// answer is its output.
type answer struct {
	state    string // "ok", or which error
	outcome  sessionstore.Outcome
	theft    sessionstore.Theft
	pair     signedPair
	checksum string
	revoked  bool
}

// signedPair is the JWTs and what generations they are of.
type signedPair struct {
	refresh, access                     tokens.Secret
	refreshGeneration, accessGeneration int64
}

// serial is a session's state in the sequential model.
type serial struct {
	pair      signedPair
	checksum  string
	ended     bool
	confirmed bool
	// Less than a grace ago.
	issuedNow, confirmedNow bool
	lateAt                  int64 // the last generation with a late retry, …
	lateInARow              int   // … and how many up to it had one
}

const historyLateRetryLimit = 2

// windows is the sequential model: with them, none ends in a history; without,
// all end at once.
type windows bool

// step returns the states that may follow; none if this cannot be the answer.
func (w windows) step(s serial, in call, out answer) []serial {
	want, next := answer{state: "ok"}, s
	switch in.operation {
	case begins:
		return []serial{in.begin}
	case confirms: // comes late and, where the row is locked, not at all
		if in.generation == s.pair.accessGeneration && !s.confirmed {
			return []serial{s, w.confirm(s)}
		}
		return []serial{s}
	case loads:
		want.checksum, want.revoked = s.checksum, s.ended
	case invalidates:
		next.ended = true
	case replaces:
		if next.ended = true; s.ended {
			want.state = "not replaceable"
		}
	case supersedes: // no client has the newest access token then
		next.pair.accessGeneration += refresh.SupersededBy
		next.pair.access = ""
	case patches: // visible only in later tokens
	case refreshes:
		if s.pair.access == "" {
			s.pair.access = out.pair.access
		}
		want, next = w.refresh(s, in.generation, out.pair)
	case gets:
		want.checksum = s.checksum
		isBefore := in.generation == s.pair.accessGeneration-1 && s.issuedNow
		if in.generation < s.pair.accessGeneration && !isBefore {
			want = answer{state: "superseded"}
		}
	case updates:
		want.checksum, next.checksum = in.to, in.to
		if in.from != s.checksum {
			want, next = answer{state: "conflict", checksum: s.checksum}, s
		}
	}
	if s.ended && in.operation != loads && in.operation != invalidates && in.operation != replaces {
		want, next = answer{state: "ended"}, s
	}
	if out != want {
		return nil
	}
	return []serial{next}
}

func (w windows) confirm(s serial) serial {
	if !s.confirmed {
		s.confirmed, s.confirmedNow = true, bool(w)
	}
	return s
}

// refresh returns what must be answered. Only the signed text of tokens that
// are new is taken from the answer.
func (w windows) refresh(s serial, generation int64, answered signedPair) (answer, serial) {
	stolen := func(theft sessionstore.Theft) (answer, serial) {
		s.ended = true
		return answer{state: "reuse", theft: theft}, s
	}
	issued := func(outcome sessionstore.Outcome) (answer, serial) {
		s.pair.accessGeneration++
		s.pair.access = answered.access
		s.issuedNow, s.confirmed, s.confirmedNow = bool(w), false, false
		return answer{state: "ok", outcome: outcome, pair: s.pair}, s
	}
	switch behind := s.pair.refreshGeneration - generation; {
	case behind == 0 && s.issuedNow:
		return answer{state: "ok", outcome: sessionstore.StillFresh, pair: s.pair}, w.confirm(s)
	case behind == 0:
		s.pair.refreshGeneration++
		s.pair.refresh = answered.refresh
		return issued(sessionstore.Rotated)
	case behind > 1:
		return stolen(sessionstore.Old)
	case s.issuedNow || s.confirmedNow:
		return answer{state: "ok", outcome: sessionstore.Raced, pair: s.pair}, s
	case s.confirmed:
		return stolen(sessionstore.Stale)
	}
	switch now := s.pair.refreshGeneration; {
	case s.lateInARow > 0 && s.lateAt == now:
	case s.lateInARow > 0 && s.lateAt == now-1:
		s.lateInARow++
	default:
		s.lateInARow = 1
	}
	if s.lateAt = s.pair.refreshGeneration; s.lateInARow > historyLateRetryLimit {
		return stolen(sessionstore.Lockstep)
	}
	return issued(sessionstore.RetriedLate)
}

func (w windows) linearizable(history []porcupine.Operation) porcupine.CheckResult {
	model := porcupine.NondeterministicModel{
		Partition: bySession,
		Init:      func() []any { return []any{serial{}} },
		Step: func(state, input, output any) []any {
			var next []any
			for _, s := range w.step(as[serial](state), as[call](input), as[answer](output)) {
				next = append(next, s)
			}
			return next
		},
	}
	return porcupine.CheckOperationsTimeout(model.ToModel(), history, 20*time.Second)
}

// as is for porcupine's values, which are of any type and always ours.
func as[T any](v any) T {
	value, ok := v.(T)
	if !ok {
		panic(fmt.Sprintf("%T", v))
	}
	return value
}

func bySession(history []porcupine.Operation) [][]porcupine.Operation {
	sessions := make([][]porcupine.Operation, sessionsInHistory)
	for _, o := range history {
		in := as[call](o.Input)
		sessions[in.session] = append(sessions[in.session], o)
	}
	return sessions
}

// operations is what the clients call: the store, or one that misbehaves.
type operations interface {
	RefreshTokens(ctx context.Context, refreshToken string, client sessionstore.Client) (sessionstore.Refreshed, error)
	Get(ctx context.Context, accessToken string) (sessionstore.Session, tokens.Claims, error)
	Load(ctx context.Context, id uuid.UUID) (sessionstore.Session, error)
	Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error)
	Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error
	Replace(ctx context.Context, replaced sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error)
	LoadClaims(ctx context.Context, id uuid.UUID) (claims []byte, checksum string, err error)
	SetClaims(ctx context.Context, id uuid.UUID, checksum string, claims []byte, options sessionstore.SetClaimsOptions) (string, error)
	Patch(ctx context.Context, id uuid.UUID, patch sessionstore.Patch) (sessionstore.Session, error)
}

const (
	sessionsInHistory = 2
	clientsInHistory  = 4
	callsOfClient     = 8
)

// Writers go back to what was there before: a checksum does not show when it was written.
var historyData = []string{`{}`, `{"n":1}`, `{"n":2}`}

// recorder runs clients and keeps their history.
type recorder struct {
	operations
	kit
	windows  windows
	verifier *tokens.Verifier
	start    time.Time

	mu       sync.Mutex
	sessions [sessionsInHistory]*known
	history  []porcupine.Operation
}

// known is the clients' knowledge of a session: the tokens by their generations.
type known struct {
	id              uuid.UUID
	checksum        string
	refresh, access map[int64]tokens.Secret
}

// prepare makes a session that was refreshed up to twice, and whose pair may
// have been confirmed. All that is long ago, or its last refresh was just now.
func (r *recorder) prepare(t *testing.T, session int) {
	t.Helper()
	created, pair := r.create(t, sessionstore.CreateParams{})
	s := &known{created.ID, created.Checksum, map[int64]tokens.Secret{}, map[int64]tokens.Secret{}}
	r.sessions[session] = s
	begin := serial{checksum: created.Checksum, pair: r.learn(t, s, pair)}
	refreshed := rand.IntN(3)
	justNow := rand.IntN(4) == 0
	for i := range refreshed {
		pair = r.refresh(t, pair.RefreshToken, sessionstore.Rotated)
		begin.pair = r.learn(t, s, pair)
		if begin.confirmed = rand.IntN(3) == 0; begin.confirmed {
			r.get(t, pair)
		}
		begin.issuedNow = i == refreshed-1 && justNow && bool(r.windows)
		begin.confirmedNow = begin.issuedNow && begin.confirmed
		if !begin.issuedNow {
			// Not the tokens' own times: they are what clients hold.
			r.exec(t, `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 h', "settledAt" = "settledAt" - interval '1 h',
				"confirmedAt" = "confirmedAt" - interval '1 h' WHERE "session" = $1`, s.id)
		}
	}
	r.record(call{operation: begins, session: session, begin: begin}, answer{}, 0, 0)
}

// learn keeps the tokens of an answer.
func (r *recorder) learn(t *testing.T, s *known, pair sessionstore.TokenPair) signedPair {
	t.Helper()
	refresh, err := r.verifier.Verify(string(pair.RefreshToken), tokens.RefreshToken)
	access, accessErr := r.verifier.Verify(string(pair.AccessToken), tokens.AccessToken)
	if err := cmp.Or(err, accessErr); err != nil {
		t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.refresh[refresh.Generation], s.access[access.Generation] = pair.RefreshToken, pair.AccessToken
	return signedPair{pair.RefreshToken, pair.AccessToken, refresh.Generation, access.Generation}
}

// now orders the calls: a reading of a monotonic clock.
func (r *recorder) now() int64 { return int64(time.Since(r.start)) }

func (r *recorder) record(in call, out answer, from, to int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, porcupine.Operation{Input: in, Output: out, Call: from, Return: to})
}

// draw says what a client does next.
func (r *recorder) draw() call {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := call{session: rand.IntN(sessionsInHistory)}
	s := r.sessions[in.session]
	newest := func(held map[int64]tokens.Secret, behind int) int64 {
		generations := slices.Sorted(maps.Keys(held))
		return generations[max(0, len(generations)-1-behind)]
	}
	switch n := rand.IntN(100); {
	case n < 24:
		in.operation, in.generation = refreshes, newest(s.refresh, 0)
	case n < 42:
		in.operation, in.generation = refreshes, newest(s.refresh, 1)
	case n < 43:
		in.operation, in.generation = refreshes, newest(s.refresh, 2)
	case n < 60:
		in.operation, in.generation = gets, newest(s.access, 0)
	case n < 64:
		in.operation, in.generation = gets, newest(s.access, 1)
	case n < 69:
		in.operation = loads
	case n < 72:
		in.operation = supersedes
	case n < 75:
		in.operation = patches
	case n < 77:
		in.operation = replaces
	case n < 99:
		in.operation, in.from = updates, s.checksum
		for in.to = in.from; in.to == in.from; { // the same data would need no call
			in.to = mustChecksum(historyData[rand.IntN(len(historyData))])
		}
	default:
		in.operation = invalidates
	}
	return in
}

func mustChecksum(data string) string {
	checksum, err := sessionstore.Checksum([]byte(data))
	if err != nil {
		panic(err)
	}
	return checksum
}

// do makes a call and records it.
func (r *recorder) do(t *testing.T, in call) {
	t.Helper()
	s := r.sessions[in.session]
	r.mu.Lock()
	refresh, access := string(s.refresh[in.generation]), string(s.access[in.generation])
	r.mu.Unlock()

	out := answer{state: "ok"}
	var err error
	from := r.now()
	switch in.operation {
	case refreshes:
		var got sessionstore.Refreshed
		if got, err = r.RefreshTokens(t.Context(), refresh, sessionstore.Client{}); err == nil {
			out.outcome, out.pair = got.Outcome, r.learn(t, s, got.Pair)
		}
	case gets:
		var got sessionstore.Session
		got, _, err = r.Get(t.Context(), access)
		out.checksum = got.Checksum
	case loads:
		var got sessionstore.Session
		got, err = r.Load(t.Context(), s.id)
		out.checksum, out.revoked = got.Checksum, !got.RevokedAt.IsZero()
	case updates:
		i := slices.IndexFunc(historyData, func(data string) bool { return mustChecksum(data) == in.to })
		out.checksum, err = r.Update(t.Context(), s.id, in.from, []byte(historyData[i]))
	case invalidates:
		err = r.Invalidate(t.Context(), s.id)
	case replaces:
		// Others of the same session differ, or they would be this one sent again.
		_, _, err = r.Replace(t.Context(), sessionstore.Replaced{SessionID: s.id}, sessionstore.CreateParams{Subject: uuid.NewString()})
	case supersedes:
		err = r.supersede(t.Context(), s.id)
	case patches:
		_, err = r.Patch(t.Context(), s.id, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{AccessToken: 2 * time.Hour}})
	case begins, confirms:
	}
	to := r.now()

	var conflict *sessionstore.ConflictError
	var reuse *sessionstore.ReuseError
	switch {
	case err == nil:
	case errors.Is(err, sessionstore.ErrEnded):
		out.state = "ended"
	case errors.Is(err, sessionstore.ErrNotReplaceable):
		out.state = "not replaceable"
	case errors.Is(err, sessionstore.ErrSuperseded):
		out.state = "superseded"
	case errors.As(err, &conflict):
		out.state, out.checksum = "conflict", conflict.Checksum
	case errors.As(err, &reuse):
		out.state, out.theft = "reuse", reuse.Theft
	default:
		t.Error(err)
	}
	r.record(in, out, from, to)
	if in.operation == gets && err == nil {
		r.record(call{operation: confirms, session: in.session, generation: in.generation}, answer{}, from, to)
	}
	if out.checksum != "" {
		r.mu.Lock()
		s.checksum = out.checksum
		r.mu.Unlock()
	}
}

// supersede retries until no other caller has set claims between its two calls.
func (r *recorder) supersede(ctx context.Context, id uuid.UUID) error {
	for {
		_, checksum, err := r.LoadClaims(ctx, id)
		if err == nil {
			_, err = r.SetClaims(ctx, id, checksum, fmt.Appendf(nil, `{"n":%d}`, rand.Int()), supersede)
		}
		if !errors.Is(err, sessionstore.ErrConflict) {
			return err
		}
	}
}

// history runs concurrent clients on new sessions, and returns what they observed.
func history(t *testing.T, k kit, ops operations, w windows) []porcupine.Operation {
	t.Helper()
	verifier, err := tokens.NewVerifier(k.ring, config().Tokens)
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{operations: ops, kit: k, windows: w, verifier: verifier, start: time.Now()}
	for session := range r.sessions {
		r.prepare(t, session)
	}
	together(clientsInHistory, func(int) {
		for range callsOfClient {
			r.do(t, r.draw())
		}
	})
	for session := range r.sessions {
		r.do(t, call{operation: loads, session: session})
	}
	return r.history
}

func describe(history []porcupine.Operation) string {
	var b strings.Builder
	for _, o := range slices.SortedStableFunc(slices.Values(history), func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) }) {
		fmt.Fprintf(&b, "%6d to %6d µs: %v: %v\n", o.Call/1000, o.Return/1000, o.Input, o.Output)
	}
	return b.String()
}

func (c call) String() string {
	text := fmt.Sprintf("session %d: %s", c.session, c.operation)
	switch c.operation {
	case begins:
		text += fmt.Sprintf(" at %v %.4s (confirmed %t, issued now %t)", c.begin.pair, c.begin.checksum, c.begin.confirmed, c.begin.issuedNow)
	case refreshes, gets, confirms:
		text += fmt.Sprintf(" with %d", c.generation)
	case updates:
		text += fmt.Sprintf(" %.4s to %.4s", c.from, c.to)
	case loads, invalidates, replaces, supersedes, patches:
	}
	return text
}

func (p signedPair) String() string {
	end := func(token tokens.Secret) string { return string(token[max(0, len(token)-4):]) }
	return fmt.Sprintf("%d/%d (%s, %s)", p.refreshGeneration, p.accessGeneration, end(p.refresh), end(p.access))
}

func (a answer) String() string {
	text := fmt.Sprintf("%s %s%.4s", a.state, a.theft, a.checksum)
	if a.pair != (signedPair{}) {
		text += fmt.Sprintf("%v %v", a.outcome, a.pair)
	}
	if a.revoked {
		text += " revoked"
	}
	return text
}

func historyConfig(w windows) sessionstore.Config {
	cfg := config()
	cfg.LateRetryLimit = historyLateRetryLimit
	cfg.Grace = time.Minute
	cfg.Lifetimes.AccessToken = time.Hour
	if !w {
		// Of a transaction that began before another one issued the successor, no time has passed since.
		cfg.Grace, cfg.RefuseReplaced = time.Microsecond, true
	}
	return cfg
}

func TestLinearizable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		windows
		meets []string // or the histories would prove nothing
	}{
		"within all windows": {true, []string{"rotated", "still_fresh", "raced", "refresh: old", "get: superseded", "supersede: ok", "patch: ok", "replace: ok", "update: conflict", "update: ended"}},
		"after all windows":  {false, []string{"rotated", "retried_late", "refresh: old", "refresh: stale", "get: superseded", "supersede: ok", "patch: ok", "replace: ok", "update: conflict", "update: ended"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setupFast(t, historyConfig(test.windows))
			met := map[string]int{}
			for range 40 {
				h := history(t, k, k, test.windows)
				if result := test.linearizable(h); result != porcupine.Ok {
					t.Fatalf("%s:\n%s", result, describe(h))
				}
				for _, o := range h {
					in, out := as[call](o.Input), as[answer](o.Output)
					met[fmt.Sprint(in.operation, ": ", cmp.Or(string(out.theft), out.state))]++
					if out.pair != (signedPair{}) {
						met[out.outcome.String()]++
					}
				}
			}
			t.Log(met)
			for _, answer := range test.meets {
				if met[answer] == 0 {
					t.Errorf("not met: %s", answer)
				}
			}
		})
	}
}

// Stores that misbehave only where calls meet.

type pairForEachRace struct{ kit }

func (m pairForEachRace) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	got, err := m.Store.RefreshTokens(ctx, token, client)
	if err != nil || got.Outcome != sessionstore.Raced {
		return got, err
	}
	if _, err := m.pool.Exec(ctx, `UPDATE "sessionStoreToken" SET "issuedAt" = NULL WHERE "session" = $1`, got.SessionID); err != nil {
		return got, err
	}
	return m.Store.RefreshTokens(ctx, string(got.Pair.RefreshToken), client)
}

type lastWriteWins struct{ kit }

func (m lastWriteWins) Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error) {
	for {
		var conflict *sessionstore.ConflictError
		next, err := m.Store.Update(ctx, id, checksum, data)
		if !errors.As(err, &conflict) {
			return next, err
		}
		checksum = conflict.Checksum
	}
}

type invalidatesLater struct {
	kit
	*sync.WaitGroup
}

func (m invalidatesLater) Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error {
	m.Go(func() { _ = m.Store.Invalidate(ctx, id, cause...) }) // no caller learns of it
	return nil
}

type readsOldCopies struct {
	kit
	copies *sync.Map
}

func (m readsOldCopies) Get(ctx context.Context, token string) (sessionstore.Session, tokens.Claims, error) {
	session, claims, err := m.Store.Get(ctx, token)
	if err == nil {
		copied, _ := m.copies.LoadOrStore(claims.ID(), session)
		session = as[sessionstore.Session](copied)
	}
	return session, claims, err
}

type keepsReplaced struct{ kit }

func (m keepsReplaced) Replace(ctx context.Context, _ sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	return m.Create(ctx, params)
}

type supersedesNothing struct{ kit }

func (m supersedesNothing) SetClaims(ctx context.Context, id uuid.UUID, checksum string, claims []byte, _ sessionstore.SetClaimsOptions) (string, error) {
	return m.Store.SetClaims(ctx, id, checksum, claims, sessionstore.SetClaimsOptions{})
}

type forgivesThieves struct{ kit }

func (m forgivesThieves) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	got, err := m.Store.RefreshTokens(ctx, token, client)
	if reuse, ok := errors.AsType[*sessionstore.ReuseError](err); ok {
		undo := pgx.BeginFunc(ctx, m.pool, func(tx pgx.Tx) error {
			// No trigger is to say that a revocation is final.
			if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `WITH "token" AS (UPDATE "sessionStoreToken" SET "revokedAt" = NULL WHERE "session" = $1)
				UPDATE "sessionStore" SET "revokedAt" = NULL WHERE "id" = $1`, reuse.SessionID)
			return err
		})
		err = cmp.Or(undo, err)
	}
	return got, err
}

// The check can fail.
func TestNotLinearizable(t *testing.T) {
	t.Parallel()
	k := setupFast(t, historyConfig(true))
	var later sync.WaitGroup
	defer later.Wait()
	for name, misbehaving := range map[string]operations{
		"a new pair for each race":                    pairForEachRace{k},
		"the last write wins":                         lastWriteWins{k},
		"Invalidate returns before it is done":        invalidatesLater{k, &later},
		"Get reads an old copy":                       readsOldCopies{k, &sync.Map{}},
		"a theft is reported and forgiven":            forgivesThieves{k},
		"a session is kept alongside its replacement": keepsReplaced{k},
		"nothing is superseded":                       supersedesNothing{k},
	} {
		found := false
		for tries := 0; !found && tries < 200; tries++ {
			found = windows(true).linearizable(history(t, k, misbehaving, true)) == porcupine.Illegal
		}
		if !found {
			t.Errorf("not noticed: %s", name)
		}
	}
	found := false // not by each history: some meet no window
	for tries := 0; !found && tries < 20; tries++ {
		found = windows(false).linearizable(history(t, k, k, true)) == porcupine.Illegal
	}
	if !found {
		t.Error("a model with other rules agrees")
	}
}
