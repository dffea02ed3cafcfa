package keystore_test

import (
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// copied is a configuration with copies in these databases, and a log.
func copied(t *testing.T, pools ...*pgxpool.Pool) (keystore.Config, *testservice.Output) {
	t.Helper()
	log := &testservice.Output{}
	cfg := config(t)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	for i, pool := range pools {
		cfg.Copies = append(cfg.Copies, keystore.Copy{Name: []string{"east", "west"}[i], Pool: pool})
	}
	return cfg, log
}

// rowsOf are a database's keys, but for when it got them, and their version.
func rowsOf(t *testing.T, pool *pgxpool.Pool) (rows string) {
	t.Helper()
	if err := pool.QueryRow(t.Context(), `
SELECT COALESCE((SELECT max("version") FROM "sessionStoreSigningKeySet"), 0) || COALESCE(string_agg((k."id", k."algorithm", k."sealed", k."createdAt", k."signsFrom", k."verifiesUntil")::text, E'\n' ORDER BY "id"), '')
FROM "sessionStoreSigningKey" k`).Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func sameRows(t *testing.T, when string, first *pgxpool.Pool, copies ...*pgxpool.Pool) {
	t.Helper()
	want := rowsOf(t, first)
	for i, pool := range copies {
		if diff := cmp.Diff(want, rowsOf(t, pool)); diff != "" {
			t.Errorf("copy %d %s:\n%s", i, when, diff)
		}
	}
}

// signer notes which key signs.
type signer struct{ known atomic.Value }

func (s *signer) set(ring *tokens.KeyRing) error {
	s.known.Store(ring.Keys()[0].ID)
	return nil
}

func (s *signer) id() string {
	id, _ := s.known.Load().(string)
	return id
}

// Every kind of change is in the copies when it has been answered.
func TestCopiesFollowEachChange(t *testing.T) {
	t.Parallel()
	first, east, west := testdb.Pool(t), testdb.Pool(t), testdb.Pool(t)
	cfg, _ := copied(t, east, west)
	s, _ := begun(t, first, cfg)
	sameRows(t, "after the start", first, east, west)
	one := list(t, s)[0]
	rotate(t, s, false)
	sameRows(t, "after a rotation", first, east, west)
	if _, _, err := s.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	sameRows(t, "after a promotion", first, east, west)
	for _, pool := range []*pgxpool.Pool{first, east, west} {
		pass(t, pool, 2*time.Hour)
	}
	maintain(t, s)
	if list(t, s)[1].VerifiesUntil.IsZero() {
		t.Error("the replaced key was not settled")
	}
	sameRows(t, "after a settlement", first, east, west)
	if _, err := s.Revoke(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
	sameRows(t, "after a revocation", first, east, west)
	before := rowsOf(t, east)
	cfg.Sealer = sealer(t, sealingKey(2), sealingKey(1))
	maintain(t, newStore(t, first, cfg))
	if rowsOf(t, east) == before {
		t.Error("nothing was resealed")
	}
	sameRows(t, "after another sealing key", first, east, west)
	pass(t, first, -time.Hour) // as no version tells
	begun(t, first, cfg)
	sameRows(t, "after a change that an earlier release made", first, east, west)
}

// A copy that could not be written is written when its database is back, and the log has one line for each.
func TestACopyThatWasAway(t *testing.T) {
	t.Parallel()
	first, east := testdb.Pool(t), testdb.NewServer(t)
	cfg, log := copied(t, east.Pool())
	cfg.Poll = 50 * time.Millisecond
	r := newReplica(t, first, cfg).run(t)
	east.Stop()
	rotate(t, r.keys, true)
	const failed, again = "a copy of the signing keys cannot be brought up to date yet", "a copy of the signing keys is up to date again"
	await(t, "the failure in the log", func() bool { return strings.Contains(log.String(), failed) })
	east.Start()
	await(t, "the end of it in the log", func() bool { return strings.Contains(log.String(), again) })
	sameRows(t, "afterwards", first, east.Pool())
	if n := strings.Count(log.String(), failed); n != 1 {
		t.Errorf("the failure is in the log %d times:\n%s", n, log)
	}
}

// While the database of the keys is down, a replica that starts signs and verifies with a copy, one
// that runs continues, keys that were published begin to sign, and no key is changed.
func TestCopiesOutliveTheDatabase(t *testing.T) {
	t.Parallel()
	first, east := testdb.NewServer(t), testdb.Pool(t)
	cfg, log := copied(t, east)
	cfg.Poll = 50 * time.Millisecond
	runs, ring := begun(t, first.Pool(), cfg)
	follow := &replica{keys: runs}
	var signs signer
	runs.OnChange(signs.set)
	follow.run(t)
	published := rotate(t, runs, false)
	sameRows(t, "after the rotation", first.Pool(), east)

	first.Stop()
	starts := newStore(t, first.Pool(), cfg)
	got, err := starts.Begin(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if got.Keys()[0] != ring.Keys()[0] || len(got.Keys()) != 2 {
		t.Errorf("the keys of a copy are %v, want %v and the published one", got.Keys(), ring.Keys())
	}
	const taken = "the database with the signing keys does not answer: they are taken from a copy"
	if n := strings.Count(log.String(), taken); n == 0 {
		t.Errorf("the log does not tell of it:\n%s", log)
	}
	if _, _, err := starts.Rotate(t.Context(), true); err == nil {
		t.Error("a rotation without the database of the keys")
	}
	if err := starts.Refresh(); err == nil {
		t.Error("a copy is said to have all keys that there are")
	}
	pass(t, east, 2*time.Hour)
	await(t, "the published key signs", func() bool { return signs.id() == published.ID })

	first.Start()
	pass(t, first.Pool(), 2*time.Hour)
	await(t, "the database answers", func() bool { return strings.Contains(log.String(), "the database with the signing keys answers again") })
	var key keystore.Key
	await(t, "a rotation", func() bool { key, _, err = runs.Rotate(t.Context(), true); return err == nil })
	await(t, "the new key signs", func() bool { return signs.id() == key.ID })
	await(t, "the copy", func() bool { return rowsOf(t, first.Pool()) == rowsOf(t, east) })
}

// Of several copies the newest counts, so that a key that was revoked does not come back from a copy
// that was not reached.
func TestTheNewestCopyCounts(t *testing.T) {
	t.Parallel()
	first, east, west := testdb.NewServer(t), testdb.NewServer(t), testdb.Pool(t)
	cfg, _ := copied(t, east.Pool(), west)
	s, _ := begun(t, first.Pool(), cfg)
	leaked := list(t, s)[0]
	east.Stop()
	if _, err := s.Revoke(t.Context(), leaked.ID); err != nil {
		t.Fatal(err)
	}
	east.Start()
	first.Stop()
	ring, err := newStore(t, first.Pool(), cfg).Begin(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(ring.Keys(), func(k tokens.KeyInfo) bool { return k.ID == leaked.ID }) {
		t.Error("a revoked key came back")
	}
	stale, _ := copied(t, east.Pool())
	other := newStore(t, first.Pool(), stale)
	if ring, err = other.Begin(t.Context(), ""); err != nil || ring.Keys()[0].ID != leaked.ID {
		t.Fatalf("the copy that was not reached: %v, %v", ring, err)
	}
	first.Start() // whose keys count before all copies that are older
	await(t, "the keys' own database", func() bool {
		ring, err = other.Load(t.Context())
		return err == nil && ring.Keys()[0].ID != leaked.ID
	})
}

// A replica that knows newer keys than a copy does not go back to it.
func TestAnOlderCopyReplacesNothing(t *testing.T) {
	t.Parallel()
	first, east := testdb.NewServer(t), testdb.NewServer(t)
	cfg, _ := copied(t, east.Pool())
	s, _ := begun(t, first.Pool(), cfg)
	east.Stop()
	key := rotate(t, s, true)
	if ring, err := s.Load(t.Context()); err != nil || ring.Keys()[0].ID != key.ID {
		t.Fatalf("%v, %v", ring, err)
	}
	east.Start()
	first.Stop()
	var ring *tokens.KeyRing
	s.OnChange(func(r *tokens.KeyRing) error { ring = r; return nil })
	if _, err := s.Load(t.Context()); err == nil || ring != nil {
		t.Errorf("an older copy was taken: %v, %v", ring, err)
	}
}

// A database that has lost its latest commits gets the keys back, and what was revoked stays so.
func TestKeysComeBackFromACopy(t *testing.T) {
	t.Parallel()
	first, east := testdb.Pool(t), testdb.Pool(t)
	cfg, log := copied(t, east)
	a, b := newReplica(t, first, cfg), newReplica(t, first, cfg)
	leaked := list(t, a.keys)[0]
	for _, table := range []string{"Key", "KeySet"} {
		exec(t, first, `CREATE TABLE "backup`+table+`" AS TABLE "sessionStoreSigning`+table+`"`)
	}
	if _, err := a.keys.Revoke(t.Context(), leaked.ID); err != nil {
		t.Fatal(err)
	}
	reload(t, a.keys)
	pair := a.create(t, sessionstore.Lifetimes{})
	for _, table := range []string{"Key", "KeySet"} {
		exec(t, first, `DELETE FROM "sessionStoreSigning`+table+`"`)
		exec(t, first, `INSERT INTO "sessionStoreSigning`+table+`" SELECT * FROM "backup`+table+`"`)
	}

	if _, err := b.refresh(t, pair); err != nil { // it never knew the key
		t.Errorf("a token of a key that the database had lost: %v", err)
	}
	if keys := list(t, a.keys); len(keys) != 1 || keys[0].ID == leaked.ID {
		t.Errorf("the keys are %v", keys)
	}
	sameRows(t, "afterwards", first, east)
	if !strings.Contains(log.String(), "were replaced by it") {
		t.Errorf("the log does not tell:\n%s", log)
	}
}

// A key is needed for as long as the sessions of any database have tokens of it.
func TestAKeyStaysForTheSessionsOfACopy(t *testing.T) {
	t.Parallel()
	first, east := testdb.Pool(t), testdb.NewServer(t)
	cfg, log := copied(t, east.Pool())
	s, ring := begun(t, first, cfg)
	elsewhere, err := sessionstore.New(east.Pool(), ring, sessionstore.Config{Tokens: tokens.Config{Issuer: "https://issuer.test", Audience: "api"}})
	if err != nil {
		t.Fatal(err)
	}
	_, pair, err := elsewhere.Create(t.Context(), sessionstore.CreateParams{Subject: "ada", Lifetimes: sessionstore.Lifetimes{RefreshToken: 10 * 365 * 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	rotate(t, s, true)
	pass(t, first, 2*time.Hour)
	pass(t, east.Pool(), 2*time.Hour)
	east.Stop()
	maintain(t, s)
	if until := list(t, s)[1].VerifiesUntil; !until.IsZero() {
		t.Errorf("without a database that has sessions, the key verifies until %v", until)
	}
	if !strings.Contains(log.String(), "it is not known until when") {
		t.Errorf("the log does not tell:\n%s", log)
	}
	east.Start()
	maintain(t, s)
	if until := list(t, s)[1].VerifiesUntil; until.Before(pair.RefreshTokenExpiresAt) {
		t.Errorf("the key verifies until %v, one of its tokens until %v", until, pair.RefreshTokenExpiresAt)
	}
}

// While a copy was away for more than an hour, a replica that reached it and not the keys' own database
// continued to sign with a key that was replaced. So that key stays until the copy has had the new one
// for as long as every replica needs elsewhere, and for the tokens that were signed with it meanwhile.
func TestAKeyIsSettledOnceEachCopyHasItsReplacement(t *testing.T) {
	t.Parallel()
	first, east := testdb.Pool(t), testdb.Pool(t)
	cfg, _ := copied(t, east)
	behind, err := pgxpool.New(t.Context(), first.Config().ConnString()) // a replica's way to the keys' own database
	if err != nil {
		t.Fatal(err)
	}
	cut, ring := begun(t, behind, cfg)
	sessions, err := sessionstore.New(east, ring, sessionstore.Config{Tokens: tokens.Config{Issuer: "https://issuer.test", Audience: "api"}})
	if err != nil {
		t.Fatal(err)
	}
	cut.OnChange(sessions.SetKeys)
	replaced := list(t, cut)[0]
	behind.Close()

	nowhere, err := pgxpool.New(t.Context(), "postgres://nobody:nothing@"+testservice.FreeAddress(t)+"/none?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nowhere.Close)
	apart, _ := copied(t, nowhere)
	rotate(t, newStore(t, first, apart), true)
	pass(t, first, 2*time.Hour)

	s, _ := begun(t, first, cfg) // for which the copy is back
	sameRows(t, "when it is back", first, east)
	maintain(t, s)
	_, pair, err := sessions.Create(t.Context(), sessionstore.CreateParams{Subject: "ada", Lifetimes: sessionstore.Lifetimes{RefreshToken: 10 * 365 * 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	if _, claims, err := sessions.Get(t.Context(), string(pair.AccessToken)); err != nil || claims.KeyID != replaced.ID {
		t.Fatalf("the token is of the key %q, not of %q: %v", claims.KeyID, replaced.ID, err)
	}
	until := func() time.Time {
		t.Helper()
		keys := list(t, s)
		if len(keys) != 2 || keys[1].ID != replaced.ID {
			t.Fatalf("the keys are %v", keys)
		}
		return keys[1].VerifiesUntil
	}
	if until := until(); !until.IsZero() && until.Before(pair.RefreshTokenExpiresAt) {
		t.Errorf("the key verifies until %v, a token that it has signed since until %v", until, pair.RefreshTokenExpiresAt)
	}

	if _, err := cut.Load(t.Context()); err != nil { // from the copy
		t.Fatal(err)
	}
	for _, pool := range []*pgxpool.Pool{first, east} {
		pass(t, pool, 2*time.Hour)
	}
	maintain(t, s)
	if until := until(); until.Before(pair.RefreshTokenExpiresAt) {
		t.Errorf("later: the key verifies until %v, one of its tokens until %v", until, pair.RefreshTokenExpiresAt)
	}
}

// A copy counts a key from when it got it, or its time to sign: what else changes of the keys does not
// put off that others are settled.
func TestSinceWhenACopyHasAKey(t *testing.T) {
	t.Parallel()
	first, east := testdb.Pool(t), testdb.Pool(t)
	cfg, _ := copied(t, east)
	s, _ := begun(t, first, cfg)
	since := func(id string) (at time.Time) {
		t.Helper()
		if err := east.QueryRow(t.Context(), `SELECT "storedAt" FROM "sessionStoreSigningKey" WHERE "id" = $1`, id).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	one := list(t, s)[0].ID
	before := since(one)
	two := rotate(t, s, false).ID
	published := since(two)
	if _, _, err := s.Rotate(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	sameRows(t, "after a promotion", first, east)
	if got := since(one); !got.Equal(before) {
		t.Errorf("a key that did not change: since %v, not %v", got, before)
	}
	if got := since(two); !got.After(published) {
		t.Errorf("a key that was promoted: since %v, as when it was published", got)
	}
}

// A copy that another sealing key was used for is not taken, nor is it overwritten while it is newer.
func TestACopyThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	first, east := testdb.NewServer(t), testdb.Pool(t)
	cfg, log := copied(t, east)
	begun(t, first.Pool(), cfg)
	exec(t, east, `UPDATE "sessionStoreSigningKeySet" SET "version" = "version" + 1`)
	cfg.Sealer = sealer(t, sealingKey(2))
	before := rowsOf(t, east)
	if _, err := newStore(t, first.Pool(), cfg).Begin(t.Context(), ""); !errors.Is(err, tokens.ErrSealed) {
		t.Errorf("%v", err)
	}
	if rowsOf(t, east) != before || !strings.Contains(log.String(), "this sealing key does not open it") {
		t.Errorf("the copy was changed, or the log does not tell:\n%s", log)
	}
	first.Stop()
	if _, err := newStore(t, first.Pool(), cfg).Begin(t.Context(), ""); err == nil {
		t.Error("a copy was taken that does not open")
	}
}

// A database that hangs is as good as one that is down: a replica that starts, or looks for a key, does not wait for it
// for long.
func TestCopiesWhereTheDatabaseHangs(t *testing.T) {
	t.Parallel()
	first, east := testdb.Pool(t), testdb.Pool(t)
	cfg, log := copied(t, east)
	_, ring := begun(t, first, cfg)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") // which takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	hangs, err := pgxpool.New(t.Context(), "postgres://nobody:nothing@"+listener.Addr().String()+"/none?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hangs.Close)
	s := newStore(t, hangs, cfg)
	got, err := s.Begin(t.Context(), "")
	if err != nil || got.Keys()[0] != ring.Keys()[0] {
		t.Fatalf("%v, %v", got, err)
	}
	if !strings.Contains(log.String(), "they are taken from a copy") {
		t.Errorf("the log does not tell:\n%s", log)
	}
	if err := s.Refresh(); err == nil {
		t.Error("a copy is said to have all keys that there are")
	}
}
