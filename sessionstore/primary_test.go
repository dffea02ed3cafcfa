package sessionstore_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// An address leads for a while to a standby that has not received the last
// revocations. The pool is the program's own and accepts any server. Nothing from the standby is trusted, and no
// connection to it remains once the address is right.
func TestOnlyThePrimaryIsBelieved(t *testing.T) {
	t.Parallel()
	servers := testdb.NewReplicated(t)
	address := testdb.NewAddress(t, servers.Primary)
	pool, err := pgxpool.New(t.Context(), address.URL(servers.Primary))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	ring := newRing(t)
	k := kit{Store: newStore(t, pool, ring, config()), pool: pool, ring: ring}

	revoked, pair := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	_, claims, err := k.LoadClaims(t.Context(), revoked.ID)
	if err != nil {
		t.Fatal(err)
	}
	label := "till 4"
	patch := sessionstore.Patch{Label: &label}
	servers.CatchUp()
	servers.Freeze()
	_, missed := k.create(t, sessionstore.CreateParams{Subject: "ann"})
	if err := k.Invalidate(t.Context(), revoked.ID); err != nil {
		t.Fatal(err)
	}

	address.Lead(servers.Standby)
	address.Cut()
	asks := map[string]func() error{
		"the token of a revoked session": func() error { _, _, err := k.Get(t.Context(), string(pair.AccessToken)); return err },
		"the token of a new session":     func() error { _, _, err := k.Get(t.Context(), string(missed.AccessToken)); return err },
		"the session":                    func() error { _, err := k.Load(t.Context(), revoked.ID); return err },
		"no session":                     func() error { _, err := k.Load(t.Context(), uuid.New()); return err },
		"a list":                         func() error { _, err := k.List(t.Context(), "ann", sessionstore.ListParams{}); return err },
		"nobody's list":                  func() error { _, err := k.List(t.Context(), "bob", sessionstore.ListParams{}); return err },
		"an update": func() error {
			_, err := k.Update(t.Context(), revoked.ID, revoked.Checksum, []byte(`{"a":1}`))
			return err
		},
		"a creation": func() error { _, _, err := k.Create(t.Context(), sessionstore.CreateParams{}); return err },
		"a refresh": func() error {
			_, err := k.RefreshTokens(t.Context(), string(missed.RefreshToken), sessionstore.Client{})
			return err
		},
		"a revocation":          func() error { return k.Invalidate(t.Context(), revoked.ID) },
		"a sign-out everywhere": func() error { _, err := k.InvalidateSubject(t.Context(), "ann", uuid.Nil); return err },
		"a ping":                func() error { return k.Ping(t.Context()) },

		"a session of someone who asks": func() error { return k.InvalidateOwn(t.Context(), "ann", revoked.ID) },
		"a revocation by a token":       func() error { return k.RevokeToken(t.Context(), string(missed.RefreshToken)) },
		"everyone's sign-out":           func() error { _, err := k.InvalidateAll(t.Context(), nil); return err },
		"a version":                     func() error { return k.CheckVersion(t.Context(), revoked.ID, revoked.Checksum) },
		"claims":                        func() error { _, _, err := k.LoadClaims(t.Context(), revoked.ID); return err },
		"nobody's claims":               func() error { _, _, err := k.LoadClaims(t.Context(), uuid.New()); return err },
		"other claims": func() error {
			_, err := k.SetClaims(t.Context(), revoked.ID, claims, []byte(`{"a":1}`), sessionstore.SetClaimsOptions{})
			return err
		},
		"the same claims": func() error {
			_, err := k.SetClaims(t.Context(), revoked.ID, claims, []byte(`{}`), sessionstore.SetClaimsOptions{})
			return err
		},
		"a patch": func() error { _, err := k.Patch(t.Context(), revoked.ID, patch); return err },
		"a patch without a change": func() error {
			_, err := k.Patch(t.Context(), revoked.ID, sessionstore.Patch{})
			return err
		},
		"one's own patch": func() error { _, err := k.PatchOwn(t.Context(), "ann", revoked.ID, patch); return err },
		"a replacement": func() error {
			_, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: revoked.ID}, sessionstore.CreateParams{})
			return err
		},
		"a replacement by a token": func() error {
			_, _, err := k.Replace(t.Context(), sessionstore.Replaced{Token: string(pair.AccessToken)}, sessionstore.CreateParams{})
			return err
		},
		"a creation with a key": func() error {
			_, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "ann", IdempotencyKey: "key"})
			return err
		},
		"a history":     func() error { _, err := k.History(t.Context(), revoked.ID); return err },
		"no history":    func() error { _, err := k.History(t.Context(), uuid.New()); return err },
		"thefts":        func() error { _, err := k.Thefts(t.Context(), sessionstore.ListParams{}); return err },
		"a theft":       func() error { _, err := k.Theft(t.Context(), revoked.ID); return err },
		"subjects":      func() error { _, err := k.Subjects(t.Context(), "a"); return err },
		"no subjects":   func() error { _, err := k.Subjects(t.Context(), "zz"); return err },
		"who is live":   func() error { _, err := k.Find(t.Context(), sessionstore.FindParams{}); return err },
		"whoever was":   func() error { _, err := k.Find(t.Context(), sessionstore.FindParams{Any: true}); return err },
		"who has ended": func() error { _, err := k.Find(t.Context(), sessionstore.FindParams{Ended: true}); return err },
		"one's ended": func() error {
			_, err := k.Find(t.Context(), sessionstore.FindParams{Ended: true, Subject: "bob"})
			return err
		},
		"all of one's": func() error {
			_, err := k.Find(t.Context(), sessionstore.FindParams{Any: true, Subject: "bob"})
			return err
		},
	}
	for what, ask := range asks {
		for range 3 { // even on the connections that come after those that were given up
			if err := ask(); !errors.Is(err, sessionstore.ErrUnavailable) {
				t.Errorf("on a standby, %s: %v", what, err)
			}
		}
	}
	// Several at once share a statement.
	k.atOnce(t, 20, func(int) error {
		if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrUnavailable) {
			t.Errorf("on a standby, together: %v", err)
		}
		return nil
	})

	address.Lead(servers.Primary)
	k.await(t, "the primary", func() bool {
		_, _, err := k.Create(t.Context(), sessionstore.CreateParams{})
		return err == nil
	})
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("on the primary, a revoked session: %v", err)
	}
	k.get(t, missed)
}

// A program is moved to another server, which takes over while the former one, which was set to accept no writes,
// continues: no connection has ended. Nothing stays connected to the former server: neither followers of revocations,
// nor a program's own pool that only read.
func TestNobodyStaysWithAReadOnlyServer(t *testing.T) {
	t.Parallel()
	servers := testdb.NewReplicated(t)
	address := testdb.NewAddress(t, servers.Primary)
	connect := func() *pgxpool.Pool {
		pool, err := pgxpool.New(t.Context(), address.URL(servers.Primary))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(pool.Close)
		return pool
	}
	k := kit{pool: connect(), ring: newRing(t)}
	k.Store = newStore(t, k.pool, k.ring, config())
	edge := k.follow(t)
	reader := newStore(t, connect(), k.ring, config()) // without a verifier

	session, pair := k.create(t, sessionstore.CreateParams{})
	_, other := k.create(t, sessionstore.CreateParams{})
	verify := func() error { _, err := edge.Verify(t.Context(), string(pair.AccessToken)); return err }
	k.await(t, "the first revocations", func() bool { return edge.Age() < edgeBound && verify() == nil })
	read := func(token tokens.Secret) error { _, _, err := reader.Get(t.Context(), string(token)); return err }
	if err := read(pair.AccessToken); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{`ALTER SYSTEM SET default_transaction_read_only = on`, `SELECT pg_reload_conf()`} {
		if _, err := servers.Primary.Pool().Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	servers.CatchUp()
	servers.Promote()
	address.Lead(servers.Standby)

	if err := newStore(t, servers.Standby.Pool(), k.ring, config()).Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	past := time.Now().Add(edgeBound)
	k.await(t, "the revocation", func() bool {
		began := time.Now()
		err := verify()
		if err == nil && began.After(past) {
			t.Fatalf("a revoked token is accepted %v past the bound", began.Sub(past))
		}
		return errors.Is(err, verifier.ErrRevoked)
	})
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("a strict check next to a verifier: %v", err)
	}
	// A store that only reads notices at the first use of a pair, which it has to record.
	if err := read(other.AccessToken); err != nil {
		t.Errorf("the first use of a pair: %v", err)
	}
	if err := read(pair.AccessToken); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("a strict check after that: %v", err)
	}
}

// edgeBound is the bound of verifiers.
const edgeBound = time.Second

// follow returns a verifier that follows the store's revocations until the test ends.
func (k kit) follow(t *testing.T) *verifier.Verifier {
	t.Helper()
	edge, err := k.Verifier(verifier.Config{Bound: edgeBound, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { _ = edge.Run(ctx) })
	t.Cleanup(func() {
		stop()
		following.Wait()
	})
	return edge
}

// A follower of revocations follows no standby: after the bound it has no valid data, and reports that.
func TestNoStandbyIsFollowed(t *testing.T) {
	t.Parallel()
	servers := testdb.NewReplicated(t)
	address := testdb.NewAddress(t, servers.Primary)
	pool, err := pgxpool.New(t.Context(), address.URL(servers.Primary))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	k := kit{pool: pool, ring: newRing(t)}
	k.Store = newStore(t, pool, k.ring, config())
	edge := k.follow(t)

	session, pair := k.create(t, sessionstore.CreateParams{})
	verify := func() error { _, err := edge.Verify(t.Context(), string(pair.AccessToken)); return err }
	k.await(t, "the first revocations", func() bool { return edge.Age() < time.Second && verify() == nil })
	servers.CatchUp()
	servers.Freeze()
	address.Lead(servers.Standby)
	address.Cut()
	if err := newStore(t, servers.Primary.Pool(), k.ring, config()).Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	k.await(t, "the bound", func() bool { return errors.Is(verify(), verifier.ErrUnavailable) })
	for range 20 {
		if err := verify(); !errors.Is(err, verifier.ErrUnavailable) {
			t.Errorf("with a standby: %v", err)
		}
	}

	address.Lead(servers.Primary)
	k.await(t, "the revocation", func() bool { return errors.Is(verify(), verifier.ErrRevoked) })
}
