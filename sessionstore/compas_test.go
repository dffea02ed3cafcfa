package sessionstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

func isError(err, want error) bool { return err != nil && errors.Is(err, want) }

func TestCompasAccessToken(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	p := c.signIn(t, `{"user":7}`)
	session, claims, err := c.Get(t.Context(), string(p.access))
	if err != nil {
		t.Fatal(err)
	}
	if session.ID != p.session || string(session.Data) != `{"user": 7}` || session.Subject != "" {
		t.Errorf("session %s with %s of %q", session.ID, session.Data, session.Subject)
	}
	if claims.Type != tokens.AccessToken || claims.SessionID != p.session || claims.TokenID != p.accessRow ||
		claims.Issuer != config().Tokens.Issuer || claims.ClientID != config().Tokens.ClientID || time.Until(claims.ExpiresAt) < 9*time.Minute {
		t.Errorf("claims %+v", claims)
	}

	c.rejected(t, p.refresh, tokens.ErrWrongType)
	c.rejected(t, compasToken(accessClaim, p.refreshRow, time.Now().Add(time.Hour)), sessionstore.ErrNotFound)
	c.rejected(t, compasToken(accessClaim, uuid.New(), time.Now().Add(time.Hour)), sessionstore.ErrNotFound)
	c.rejected(t, compasToken(accessClaim, p.accessRow, time.Now().Add(-time.Minute)), tokens.ErrExpired)
	c.rejected(t, padded(p.access), tokens.ErrInvalid)
	c.rejected(t, signCompas(`{"exp":4102444800,"compasSessionAccessToken":"`+p.accessRow.String()+`"}`, "another key of 20 characters"), tokens.ErrInvalid)
	c.accepted(t, signCompas(`{"compasSessionAccessToken":"`+p.accessRow.String()+`"}`, compasKey)) // never expires

	newer := c.rotate(t, p)
	c.rejected(t, p.access, sessionstore.ErrSuperseded)
	c.accepted(t, newer.access)
	// As sessionStoreInvalidate does, in its first statement.
	c.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, p.session)
	c.rejected(t, newer.access, sessionstore.ErrEnded)
	c.refused(t, newer.refresh, sessionstore.ErrEnded)
}

// Without the key its tokens are like any other that is not ours.
func TestCompasIsNotTakenWithoutItsKey(t *testing.T) {
	t.Parallel()
	c := compas{kit: setup(t), accessTTL: time.Hour, refreshTTL: 2 * time.Hour}
	p := c.signIn(t, `{}`)
	c.rejected(t, p.access, tokens.ErrInvalid)
	c.refused(t, p.refresh, tokens.ErrInvalid)
	if err := c.RevokeToken(t.Context(), string(p.refresh)); err != nil {
		t.Error(err)
	}
	if session, err := c.Load(t.Context(), p.session); err != nil || !session.RevokedAt.IsZero() {
		t.Errorf("%v, revoked at %v", err, session.RevokedAt)
	}
	cfg := config()
	cfg.CompasSigningKey = "nineteen characters"
	if _, err := sessionstore.New(c.pool, c.ring, cfg); err == nil {
		t.Error("a key that Compas refuses is taken")
	}
}

// Verification without the database only establishes the row that a token names.
func TestVerifyToken(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	p := c.signIn(t, `{}`)
	ours := c.refresh(t, p.refresh, sessionstore.Rotated)
	before := c.queries.Load()
	for token, want := range map[tokens.Secret]tokens.Type{
		p.access: tokens.AccessToken, p.refresh: tokens.RefreshToken,
		ours.AccessToken: tokens.AccessToken, ours.RefreshToken: tokens.RefreshToken,
	} {
		isOurs := token == ours.AccessToken || token == ours.RefreshToken
		claims, err := c.VerifyToken(string(token))
		if err != nil || claims.Type != want || claims.TokenID == uuid.Nil || (claims.SessionID == p.session) != isOurs {
			t.Errorf("%+v, %v", claims, err)
		}
		if _, err := c.VerifyToken(string(token) + "x"); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("a changed token: %v", err)
		}
	}
	if n := c.queries.Load() - before; n != 0 {
		t.Errorf("the database was asked %d times", n)
	}
}

func TestCompasRefreshToken(t *testing.T) {
	t.Parallel()
	leaks := &queue{}
	c := setupCompas(t, func(cfg *sessionstore.Config) { cfg.Leaks = leaks })
	p := c.signIn(t, `{}`)
	first := c.refresh(t, p.refresh, sessionstore.Rotated)
	c.rejected(t, p.access, sessionstore.ErrSuperseded)
	if got := c.accepted(t, first.AccessToken); got.ID != p.session {
		t.Errorf("session %s, want %s", got.ID, p.session)
	}
	if diff := cmp.Diff([]time.Duration{10 * time.Minute, 48 * time.Hour}, []time.Duration{first.ExpiresIn(), first.RefreshExpiresIn()}); diff != "" {
		t.Errorf("not the lifetimes that the session had: %s", diff)
	}
	// A second tab, or the same request again.
	if again := c.refresh(t, p.refresh, sessionstore.Raced); again.RefreshToken != first.RefreshToken || again.AccessToken != first.AccessToken {
		t.Error("a race gives another pair")
	}

	c.age(t, p.session, time.Hour)
	c.refresh(t, first.RefreshToken, sessionstore.Rotated)
	c.refused(t, p.refresh, sessionstore.ErrReuse)
	c.rejected(t, first.AccessToken, sessionstore.ErrEnded)
	if len(leaks.reports) != 1 || leaks.reports[0].Theft != sessionstore.Old || leaks.reports[0].Behind != 2 || leaks.reports[0].SessionID != p.session {
		t.Errorf("reports %+v", leaks.reports)
	}
}

// queue keeps the reports.
type queue struct {
	mu      sync.Mutex
	reports []sessionstore.LeakReport
}

func (q *queue) Enqueue(_ context.Context, _ pgx.Tx, report sessionstore.LeakReport) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reports = append(q.reports, report)
	return nil
}

// The answer with our first pair was lost: the client comes late, with its old
// token. If the pair was in use, another party has that token too.
func TestCompasRefreshTokenLate(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	p := c.signIn(t, `{}`)
	c.refresh(t, p.refresh, sessionstore.Rotated)
	c.age(t, p.session, 3*time.Hour)
	found := c.refresh(t, p.refresh, sessionstore.RetriedLate)
	c.accepted(t, found.AccessToken)
	c.age(t, p.session, time.Hour)
	c.refused(t, p.refresh, sessionstore.ErrReuse)
}

func TestCompasRefreshAtOnce(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	p := c.signIn(t, `{}`)
	const n = 20
	pairs := make([]sessionstore.Refreshed, n)
	var all sync.WaitGroup
	for i := range pairs {
		all.Go(func() {
			var err error
			if pairs[i], err = c.RefreshTokens(t.Context(), string(p.refresh), sessionstore.Client{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	rotations := 0
	for _, got := range pairs {
		if got.Pair.RefreshToken != pairs[0].Pair.RefreshToken || got.Pair.AccessToken != pairs[0].Pair.AccessToken {
			t.Error("another pair")
		}
		if got.Outcome == sessionstore.Rotated {
			rotations++
		}
	}
	if rows := c.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1`, p.session); rotations != 1 || rows != 3 {
		t.Errorf("%d rotations, %d rows", rotations, rows)
	}
}

// Tokens that Compas itself had rotated before the move: a moment ago,
func TestCompasRotatedJustNow(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	old := c.signIn(t, `{}`)
	newer := c.rotate(t, old)
	c.refresh(t, old.refresh, sessionstore.Rotated) // the answer of Compas was lost
	c.refresh(t, newer.refresh, sessionstore.Rotated)
	c.refresh(t, old.refresh, sessionstore.Raced)
}

// long ago,
func TestCompasRotated(t *testing.T) {
	t.Parallel()
	leaks := &queue{}
	c := setupCompas(t, func(cfg *sessionstore.Config) { cfg.Leaks = leaks })
	old := c.signIn(t, `{}`)
	c.age(t, old.session, time.Minute)
	middle := c.rotate(t, old)
	c.age(t, old.session, time.Minute)
	newer := c.rotate(t, middle)
	c.age(t, old.session, 16*time.Second)
	newest := c.refresh(t, newer.refresh, sessionstore.Rotated)
	c.refused(t, old.refresh, sessionstore.ErrReuse)
	c.rejected(t, newest.AccessToken, sessionstore.ErrEnded)
	c.refused(t, newest.RefreshToken, sessionstore.ErrEnded)
	if len(leaks.reports) != 1 || leaks.reports[0].Theft != sessionstore.Old || leaks.reports[0].Behind != 3 {
		t.Errorf("reports %+v", leaks.reports)
	}
}

// or just before it would have made the next, when it was stopped.
func TestCompasRotatedAndNoMore(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	p := c.signIn(t, `{}`)
	c.exec(t, `UPDATE "sessionStoreToken" SET "revokedAt" = now() WHERE "session" = $1`, p.session)
	c.age(t, p.session, time.Hour)
	c.refresh(t, p.refresh, sessionstore.Rotated)
}

// Two tabs that never met: each has its own tokens, and keeps them.
func TestCompasSeveralLivePairs(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	old := c.signIn(t, `{"cart":[]}`)
	tabs := []compasPair{c.rotate(t, old), c.issue(t, old.session), c.issue(t, old.session)}
	ours := make([]sessionstore.TokenPair, 2)
	for i := range ours {
		ours[i] = c.refresh(t, tabs[i].refresh, sessionstore.Rotated)
	}
	for range 3 {
		c.age(t, old.session, time.Hour)
		for i := range ours {
			ours[i] = c.refresh(t, ours[i].RefreshToken, sessionstore.Rotated)
			c.accepted(t, ours[i].AccessToken)
		}
	}
	// The third tab never came. One session, whatever it has.
	c.exec(t, `UPDATE "sessionStore" SET "subject" = 'ada' WHERE "id" = $1`, old.session)
	page, err := c.List(t.Context(), "ada", sessionstore.ListParams{})
	if err != nil || len(page.Sessions) != 1 {
		t.Fatalf("%d sessions in the list, %v", len(page.Sessions), err)
	}
	session, err := c.Load(t.Context(), old.session)
	if err != nil || session.ExpiresAt.Before(time.Now().Add(47*time.Hour)) {
		t.Errorf("%v: ends at %v", err, session.ExpiresAt)
	}
	if _, err := c.Update(t.Context(), old.session, session.Checksum, []byte(`{"cart":[1]}`)); err != nil {
		t.Error(err)
	}
	if err := c.RevokeToken(t.Context(), string(tabs[2].access)); err != nil {
		t.Fatal(err)
	}
	for i := range ours {
		c.rejected(t, ours[i].AccessToken, sessionstore.ErrEnded)
		c.refused(t, ours[i].RefreshToken, sessionstore.ErrEnded)
	}
	c.refused(t, tabs[2].refresh, sessionstore.ErrEnded)
}

// Compas continues alongside us for a while: its changes to its own rows affect none of Latchkey's pairs, but a session
// that it ends has ended.
func TestCompasBesideUs(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	p := c.signIn(t, `{}`)
	ours := c.refresh(t, p.refresh, sessionstore.Rotated)
	theirs := c.rotate(t, p) // the same token, at the same time
	c.accepted(t, ours.AccessToken)
	c.accepted(t, theirs.access)
	c.age(t, p.session, time.Hour)
	ours = c.refresh(t, ours.RefreshToken, sessionstore.Rotated)
	c.refresh(t, theirs.refresh, sessionstore.Rotated)
	// The first of the two statements of sessionStoreInvalidate is enough.
	c.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, p.session)
	c.age(t, p.session, time.Hour)
	c.refused(t, ours.RefreshToken, sessionstore.ErrEnded)
}

func TestCompasData(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	for _, data := range []string{`{"a": 1}`, `[1, 2]`, `"text"`, `12.50`, `true`, `null`} {
		p := c.signIn(t, data)
		session := c.accepted(t, p.access)
		if string(session.Data) != data {
			t.Errorf("data %s is read as %s", data, session.Data)
		}
		next, err := c.Update(t.Context(), p.session, session.Checksum, []byte(`{"b": 2}`))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Update(t.Context(), p.session, session.Checksum, []byte(`{"b": 3}`)); !isError(err, sessionstore.ErrConflict) {
			t.Errorf("a write on what was read before: %v", err)
		}
		// sessionStoreUpdate, which compares nothing.
		c.exec(t, `UPDATE "sessionStore" SET "data" = '{"c":3}', "checksum" = 'c0ffee' WHERE "id" = $1`, p.session)
		if _, err := c.Update(t.Context(), p.session, next, []byte(`{"b": 3}`)); !isError(err, sessionstore.ErrConflict) {
			t.Errorf("a write over one of Compas: %v", err)
		}
	}
}

// Data that Compas stored is sealed like any, and its own tokens still open it.
func TestCompasDataIsSealed(t *testing.T) {
	t.Parallel()
	keys := newKeyset(t)
	c := setupCompas(t, func(cfg *sessionstore.Config) { cfg.Sealer = sealing(t, keys).Sealer })
	for _, data := range []string{`{"a": 1}`, `"text"`, `null`} {
		p := c.signIn(t, data)
		if done := c.reseal(t, c.Store, sessionstore.Reseal{}); done.Written != 1 {
			t.Errorf("%s: %+v", data, done)
		}
		session := c.accepted(t, p.access)
		if string(session.Data) != data || session.Checksum == "d3ad10cc" {
			t.Errorf("data %s is read as %s, %s", data, session.Data, session.Checksum)
		}
		if _, err := c.Update(t.Context(), p.session, session.Checksum, []byte(`{"b": 2}`)); err != nil {
			t.Error(err)
		}
		c.refresh(t, p.refresh, sessionstore.Rotated)
	}
	c.checkCounts(t, map[string]int64{keys.Keys()[0].ID: 3})
}

// The database lost the commit in which it took the session over. By now the client
// has only our tokens.
func TestCompasAfterAFailover(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	p := c.signIn(t, `{}`)
	ours := c.refresh(t, p.refresh, sessionstore.Rotated)
	c.exec(t, `DELETE FROM "sessionStoreToken" WHERE "session" = $1 AND "accessExpiresAt" IS NOT NULL`, p.session)
	c.exec(t, `UPDATE "sessionStoreToken" SET "revokedAt" = NULL WHERE "session" = $1`, p.session)
	healed := c.refresh(t, ours.RefreshToken, sessionstore.Healed)
	c.accepted(t, healed.AccessToken)
	c.age(t, p.session, time.Hour)
	c.refused(t, p.refresh, sessionstore.ErrReuse)

	other, otherPair := c.create(t, sessionstore.CreateParams{})
	c.exec(t, `DELETE FROM "sessionStoreToken" WHERE "session" = $1`, other.ID)
	c.refused(t, otherPair.RefreshToken, sessionstore.ErrNotFound)
}

func TestCompasLifetimes(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	for _, l := range []struct{ access, refresh, wantAccess, wantRefresh time.Duration }{
		{5 * time.Minute, time.Hour, 5 * time.Minute, time.Hour},
		{5 * time.Second, 10 * time.Second, 46 * time.Second, 47 * time.Second}, // the grace wants so much
		{48 * time.Hour, 24 * 300 * time.Hour, 24 * time.Hour, 24 * 300 * time.Hour},
		{5 * time.Minute, 2 * sessionstore.MaxLifetime, 5 * time.Minute, sessionstore.MaxLifetime},
	} {
		c.accessTTL, c.refreshTTL = l.access, l.refresh
		got := c.refresh(t, c.signIn(t, `{}`).refresh, sessionstore.Rotated)
		if got.ExpiresIn() != l.wantAccess || got.RefreshExpiresIn() != l.wantRefresh {
			t.Errorf("%v and %v become %v and %v", l.access, l.refresh, got.ExpiresIn(), got.RefreshExpiresIn())
		}
	}
	// An access row that no longer exists.
	p := c.signIn(t, `{}`)
	c.exec(t, `DELETE FROM "sessionStoreToken" WHERE "id" = $1`, p.accessRow)
	if got := c.refresh(t, p.refresh, sessionstore.Rotated); got.ExpiresIn() != sessionstore.DefaultAccessTokenTTL {
		t.Errorf("an access token for %v", got.ExpiresIn())
	}
}

func TestCompasCleanup(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	const retention = 14 * 24 * time.Hour
	clean := func(want int64) {
		t.Helper()
		if n, err := c.CountDue(t.Context(), cleanup.Rule{Kind: cleanup.Superfluous, After: retention}); err != nil || n != want {
			t.Errorf("%d are counted, %v, want %d", n, err, want)
		}
		var sum int64
		for {
			removed, err := removeSome(t.Context(), c.Store, cleanup.Rule{Kind: cleanup.Superfluous, After: retention}, 2)
			if err != nil {
				t.Fatal(err)
			}
			if sum += removed.Pairs; removed.Pairs < 2 {
				break
			}
		}
		if sum != want {
			t.Errorf("%d went, want %d", sum, want)
		}
	}
	left := func(session uuid.UUID) int {
		t.Helper()
		return c.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1`, session)
	}

	live := c.signIn(t, `{}`)
	idle := c.signIn(t, `{}`)
	c.age(t, idle.session, 20*24*time.Hour)
	rotated := c.signIn(t, `{}`)
	last := c.rotate(t, c.rotate(t, rotated))
	c.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() + interval '90 days' WHERE "session" = $1`, rotated.session)
	c.age(t, rotated.session, 20*24*time.Hour)
	taken := c.signIn(t, `{}`)
	tab := c.issue(t, taken.session)
	ours := c.refresh(t, taken.refresh, sessionstore.Rotated)
	revoked := c.signIn(t, `{}`)
	c.issue(t, revoked.session)
	if err := c.Invalidate(t.Context(), revoked.session); err != nil {
		t.Fatal(err)
	}

	clean(1 + 2)
	if n := left(live.session) + left(rotated.session); n != 2+2 {
		t.Errorf("%d rows are left of what lives", n)
	}
	if _, err := c.Load(t.Context(), idle.session); !isError(err, sessionstore.ErrNotFound) {
		t.Errorf("a session that expired: %v", err)
	}
	c.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() + interval '1 day' WHERE "id" = $1`, last.refreshRow)

	// Of the session that was taken over, the row that was exchanged.
	c.age(t, taken.session, 16*24*time.Hour)
	c.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() + interval '1 day', "expiresOn" = current_date + 1
		WHERE "session" = $1 AND "revokedAt" IS NULL`, taken.session)
	clean(1)
	c.refresh(t, tab.refresh, sessionstore.Rotated)
	next := c.refresh(t, ours.RefreshToken, sessionstore.Rotated)
	c.accepted(t, next.AccessToken)
	// The token is known without its row.
	c.refused(t, taken.refresh, sessionstore.ErrReuse)

	c.age(t, revoked.session, 15*24*time.Hour)
	if n, err := removeSome(t.Context(), c.Store, cleanup.Rule{Kind: cleanup.Revoked, After: retention}, 10); err != nil || n != (cleanup.Removed{Sessions: 1, Pairs: 2}) {
		t.Errorf("%+v revoked went, %v", n, err)
	}
	if n := left(revoked.session); n != 0 {
		t.Errorf("%d of their rows are left", n)
	}
}

// A session of several pairs ends with the last of them.
func TestCompasCleanupOfPairs(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	p := c.signIn(t, `{}`)
	other := c.issue(t, p.session)
	one, two := c.refresh(t, p.refresh, sessionstore.Rotated), c.refresh(t, other.refresh, sessionstore.Rotated)
	c.age(t, p.session, 30*24*time.Hour)
	// The second pair lives for another day.
	c.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() + interval '1 day', "expiresOn" = current_date + 1 WHERE "id" =
		(SELECT "id" FROM "sessionStoreToken" WHERE "session" = $1 AND "accessExpiresAt" IS NOT NULL ORDER BY "createdAt" DESC LIMIT 1)`, p.session)
	if n, err := removeSome(t.Context(), c.Store, cleanup.Rule{Kind: cleanup.Expired}, 10); err != nil || n.Sessions != 0 {
		t.Errorf("%+v went, %v", n, err)
	}
	if n, err := removeSome(t.Context(), c.Store, cleanup.Rule{Kind: cleanup.Superfluous}, 10); err != nil || n != (cleanup.Removed{Pairs: 3}) {
		t.Errorf("%+v went, %v", n, err)
	}
	c.refused(t, one.RefreshToken, sessionstore.ErrNotFound)
	two = c.refresh(t, two.RefreshToken, sessionstore.Rotated)
	c.accepted(t, two.AccessToken)
	c.age(t, p.session, 30*24*time.Hour)
	if n, err := removeSome(t.Context(), c.Store, cleanup.Rule{Kind: cleanup.Expired}, 10); err != nil || n.Sessions != 1 {
		t.Errorf("%+v went, %v", n, err)
	}
}

// Nor does the description of a Compas client decide whether it is taken over.
func TestCompasTakesAnyClient(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	for _, test := range []struct{ given, kept sessionstore.Client }{
		{},
		{sessionstore.Client{UserAgent: "a\xff\x00b", IP: "nowhere", Label: "\xff"}, sessionstore.Client{UserAgent: "ab"}},
		{sessionstore.Client{UserAgent: strings.Repeat("é", 300), IP: "[fe80::1%eth0]:80"}, sessionstore.Client{UserAgent: strings.Repeat("é", 256), IP: "fe80::1"}},
		{sessionstore.Client{IP: "203.0.113.7:51008"}, sessionstore.Client{IP: "203.0.113.7"}},
		{sessionstore.Client{IP: "203.0.113.7, 10.0.0.1"}, sessionstore.Client{}},
	} {
		p := c.signIn(t, `{}`)
		if _, err := c.RefreshTokens(t.Context(), string(p.refresh), test.given); err != nil {
			t.Errorf("%+v: %v", test.given, err)
			continue
		}
		session, err := c.Load(t.Context(), p.session)
		if err != nil || session.LastClient != test.kept {
			t.Errorf("of %+v is kept %+v, %v", test.given, session.LastClient, err)
		}
	}
}

// Claims that a session of Compas is given are those of all its pairs, even of one that is
// taken over later, and superseding refuses what Compas has issued, too.
func TestCompasClaims(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	first := c.signIn(t, `{}`)
	second := c.issue(t, first.session)
	if _, err := c.SetClaims(t.Context(), first.session, "x", []byte(`{}`), supersede); !isError(err, sessionstore.ErrNotFound) {
		t.Errorf("before a refresh: %v", err)
	}
	pair := c.refresh(t, first.refresh, sessionstore.Rotated)
	c.accepted(t, second.access)
	c.setClaims(t, first.session, `{"role":"viewer"}`, sessionstore.SetClaimsOptions{})
	c.accepted(t, second.access)
	c.setClaims(t, first.session, `{"role":"editor"}`, supersede)
	c.rejected(t, second.access, sessionstore.ErrSuperseded)
	c.rejected(t, pair.AccessToken, sessionstore.ErrSuperseded)
	for _, token := range []tokens.Secret{pair.RefreshToken, second.refresh} {
		got, err := c.RefreshTokens(t.Context(), string(token), sessionstore.Client{})
		if err != nil {
			t.Fatal(err)
		}
		if claims := c.claimsOf(t, got.Pair); claims != `{"role":"editor"}` {
			t.Errorf("%s", claims)
		}
	}
}

// A pair that is made while claims are set has them, whichever comes first.
func TestCompasClaimsRaceATakeover(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	for range 20 {
		first := c.signIn(t, `{}`)
		second := c.issue(t, first.session)
		c.refresh(t, first.refresh, sessionstore.Rotated)
		together(2, func(who int) {
			if who == 0 {
				c.setClaims(t, first.session, `{"n":1}`, sessionstore.SetClaimsOptions{})
			} else {
				c.refresh(t, second.refresh, sessionstore.Rotated)
			}
		})
		if n := c.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1 AND "claims" = '{"n":1}'`, first.session); n != 2 {
			t.Errorf("%d of 2 pairs have the claims", n)
		}
	}
}

// A pair that Compas issued keeps its times for Compas, and gets the session's when it is
// taken over.
func TestCompasPatch(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	first := c.signIn(t, `{}`)
	second, third := c.issue(t, first.session), c.issue(t, first.session)
	label := "kiosk"
	patch := sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{AccessToken: 3 * time.Minute, Session: time.Hour}, Label: &label}
	if _, err := c.Patch(t.Context(), first.session, patch); !isError(err, sessionstore.ErrNotFound) {
		t.Errorf("before a refresh: %v", err)
	}
	c.refresh(t, first.refresh, sessionstore.Rotated)
	if session := c.patch(t, first.session, patch); session.Client.Label != label {
		t.Errorf("%+v", session)
	}
	if n := c.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "id" = $1
		AND "expiresAt" > now() + interval '47 hours' AND "expiresOn" = ("expiresAt" AT TIME ZONE 'UTC')::date`, second.refreshRow); n != 1 {
		t.Error("a pair of Compas expires at another time")
	}
	got := c.refresh(t, second.refresh, sessionstore.Rotated)
	if got.ExpiresIn() != 3*time.Minute {
		t.Errorf("an access token for %v", got.ExpiresIn())
	}
	c.wantEnd(t, got, time.Hour)
	c.wantEnd(t, c.refresh(t, c.rotate(t, third).refresh, sessionstore.Rotated), time.Hour) // Compas knows no end

	c.patch(t, first.session, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{RefreshToken: 2 * time.Hour, Session: 3 * time.Hour}})
	got = c.refresh(t, c.issue(t, first.session).refresh, sessionstore.Rotated)
	c.wantEnd(t, got, 3*time.Hour)
	fourth := c.issue(t, first.session)
	c.patch(t, first.session, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Hour}})
	if got = c.refresh(t, fourth.refresh, sessionstore.Rotated); got.RefreshExpiresIn() != time.Hour {
		t.Errorf("a refresh token for %v", got.RefreshExpiresIn())
	}
	late := c.issue(t, first.session)
	c.exec(t, `UPDATE "sessionStoreToken" SET "sessionExpiresAt" = now() WHERE "session" = $1 AND "accessExpiresAt" IS NOT NULL`, first.session)
	c.refused(t, late.refresh, sessionstore.ErrEnded)
}

// wantEnd requires a pair's session to end after this time from now, whatever its idle time.
func (c compas) wantEnd(t *testing.T, pair sessionstore.TokenPair, in time.Duration) {
	t.Helper()
	claims, err := c.VerifyToken(string(pair.RefreshToken))
	if err != nil {
		t.Fatal(err)
	}
	if n := c.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "id" = $1 AND abs(extract(epoch FROM "sessionExpiresAt" - now()) - $2::int) < 60
		AND "expiresAt" <= "sessionExpiresAt"`, claims.TokenID, int(in.Seconds())); n != 1 {
		t.Errorf("the session does not end in %v", in)
	}
}

// A pair that is made while its session is patched has the patched values, whichever comes first.
func TestCompasPatchRacesATakeover(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	for range 20 {
		first := c.signIn(t, `{}`)
		second := c.issue(t, first.session)
		c.refresh(t, first.refresh, sessionstore.Rotated)
		together(2, func(who int) {
			if who == 0 {
				c.patch(t, first.session, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: time.Hour}})
			} else {
				c.refresh(t, second.refresh, sessionstore.Rotated)
			}
		})
		if n := c.count(t, `SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1 AND "accessExpiresAt" IS NOT NULL AND "expiresAt" <= now() + interval '1 hour'`, first.session); n != 2 {
			t.Errorf("%d of 2 pairs end with the session", n)
		}
	}
}

// Each pair's newest access token counts for how soon a session may end.
func TestCompasPatchOfSeveralPairs(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	first := c.signIn(t, `{}`)
	second := c.issue(t, first.session)
	pair := c.refresh(t, first.refresh, sessionstore.Rotated)
	c.refresh(t, second.refresh, sessionstore.Rotated)
	c.patch(t, first.session, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{AccessToken: time.Minute}})
	c.age(t, first.session, aWhile)
	c.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	_, err := c.Patch(t.Context(), first.session, sessionstore.Patch{Lifetimes: sessionstore.Lifetimes{Session: 2 * time.Minute}})
	if !errors.Is(err, sessionstore.ErrInvalidArgument) {
		t.Errorf("%v, although an access token lives for ten minutes", err)
	}
}
