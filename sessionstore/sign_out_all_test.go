package sessionstore_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/internal/revocations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

var signedOutRows = flag.Int("signed-out-rows", 20_000, "how many sessions TestSignOutAllChangesNoRow ends")

var byGrace = sessionstore.Cause{Reason: sessionstore.ReasonAllSignedOut, By: "grace@ops"}

// Everyone's sessions have ended, for each operation, alone and in shared statements, and at another
// replica. What ended before stays as it was, and those who sign in afterwards stay.
func TestSignOutAll(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ctx := t.Context()
	params := sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"n":1}`)}
	named := params
	named.IdempotencyKey = "once"
	session, first := k.create(t, named)
	pair := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.age(t, session.ID, time.Hour) // its predecessor would be a theft
	_, checksum, err := k.LoadClaims(ctx, session.ID)
	if err != nil {
		t.Fatal(err)
	}
	early, earlyPair := k.create(t, params)
	k.exec(t, `UPDATE "sessionStore" SET "createdAt" = now() + interval '1 day' WHERE "id" = $1`, early.ID) // the clock was ahead
	before, _ := k.create(t, params)
	if err := k.Invalidate(ctx, before.ID, sessionstore.Cause{Reason: sessionstore.ReasonOperator, By: "bob"}); err != nil {
		t.Fatal(err)
	}
	idle, _ := k.create(t, params)
	k.age(t, idle.ID, 10_000*time.Hour)
	wantEnding := func(what string, id uuid.UUID, reason sessionstore.Reason, by string) {
		t.Helper()
		got, err := k.Load(ctx, id)
		h, err2 := k.History(ctx, id)
		if want := (sessionstore.Cause{Reason: reason, By: by}); err != nil || err2 != nil || got.Ended.Cause != want || h.Session.Ended != got.Ended {
			t.Errorf("%s: %+v and %+v, want %+v (%v, %v)", what, got.Ended, h.Session.Ended, want, err, err2)
		}
	}

	began := k.databaseNow(t)
	if err := k.SignOutAll(ctx, byGrace); err != nil {
		t.Fatal(err)
	}
	done := k.databaseNow(t)

	other := newStore(t, k.pool, k.ring, config())
	for name, store := range map[string]*sessionstore.Store{"here": k.Store, "at another replica": other} {
		for what, do := range map[string]func() error{
			"Get": func() error { _, _, err := store.Get(ctx, string(pair.AccessToken)); return err },
			"Get of one that was made while the clock was ahead": func() error { _, _, err := store.Get(ctx, string(earlyPair.AccessToken)); return err },
			"RefreshTokens": func() error {
				_, err := store.RefreshTokens(ctx, string(pair.RefreshToken), sessionstore.Client{})
				return err
			},
			"RefreshTokens with the predecessor": func() error {
				_, err := store.RefreshTokens(ctx, string(first.RefreshToken), sessionstore.Client{})
				return err
			},
			"RefreshTokens with a scope": func() error {
				_, err := store.RefreshTokensWith(ctx, string(pair.RefreshToken), sessionstore.RefreshOptions{Scope: "openid"})
				return err
			},
			"Update":       func() error { _, err := store.Update(ctx, session.ID, session.Checksum, []byte(`{"n":2}`)); return err },
			"CheckVersion": func() error { return store.CheckVersion(ctx, session.ID, session.Checksum) },
			"Patch":        func() error { _, err := store.Patch(ctx, session.ID, sessionstore.Patch{Label: new("x")}); return err },
			"SetClaims": func() error {
				_, err := store.SetClaims(ctx, session.ID, checksum, []byte(`{"a":1}`), sessionstore.SetClaimsOptions{})
				return err
			},
			"Create once again": func() error { _, _, err := store.Create(ctx, named); return err },
		} {
			if err := do(); !errors.Is(err, sessionstore.ErrEnded) || errors.Is(err, sessionstore.ErrReuse) {
				t.Errorf("%s, %s: %v", what, name, err)
			}
		}
		for what, replaced := range map[string]sessionstore.Replaced{"by its id": {SessionID: session.ID}, "by a token": {Token: string(pair.RefreshToken)}} {
			if _, _, err := store.Replace(ctx, replaced, sessionstore.CreateParams{Subject: "ann"}); !errors.Is(err, sessionstore.ErrNotReplaceable) {
				t.Errorf("Replace %s, %s: %v", what, name, err)
			}
		}
	}
	for i, answer := range k.together(t, []tokens.Secret{pair.RefreshToken, first.RefreshToken, earlyPair.RefreshToken}) {
		if !errors.Is(answer.err, sessionstore.ErrEnded) {
			t.Errorf("shared refresh %d: %v", i, answer.err)
		}
	}
	var reads sync.WaitGroup
	release := k.Hold(t, 2)
	for _, token := range []tokens.Secret{pair.AccessToken, earlyPair.AccessToken} {
		reads.Go(func() {
			if _, _, err := k.Get(ctx, string(token)); !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("shared Get: %v", err)
			}
		})
	}
	release()
	reads.Wait()
	if page, err := k.List(ctx, "ann", sessionstore.ListParams{}); err != nil || len(page.Sessions) != 0 {
		t.Errorf("%d sessions are listed: %v", len(page.Sessions), err)
	}
	if page, err := k.Find(ctx, sessionstore.FindParams{Subject: "ann", Ended: true}); err != nil || len(page.Sessions) != 4 {
		t.Errorf("%d ended sessions are listed: %v", len(page.Sessions), err)
	}
	if n, _, err := k.CountLive(ctx); err != nil || n != 0 {
		t.Errorf("%d are counted as live: %v", n, err)
	}
	wantEnding("of everyone", session.ID, byGrace.Reason, byGrace.By)
	if got, err := k.Load(ctx, session.ID); err != nil || got.Ended.At.Before(began) || got.Ended.At.After(done) {
		t.Errorf("it ended at %v, not between %v and %v: %v", got.Ended.At, began, done, err)
	}
	wantEnding("ended before", before.ID, sessionstore.ReasonOperator, "bob")
	wantEnding("idle before", idle.ID, sessionstore.ReasonIdle, "")

	// To end them again changes nothing.
	if n, err := k.InvalidateSubject(ctx, "ann", uuid.Nil); err != nil || n != 0 {
		t.Errorf("%d live ones were ended again: %v", n, err)
	}
	wantEnding("ended again", session.ID, byGrace.Reason, byGrace.By)
	late, latePair := k.create(t, params)
	if _, claims, err := k.Get(ctx, string(latePair.AccessToken)); err != nil || claims.Era != 1 {
		t.Errorf("a session from afterwards: era %d, %v", claims.Era, err)
	}
	latePair = k.refresh(t, latePair.RefreshToken, sessionstore.Rotated)
	if _, claims, err := k.Get(ctx, string(latePair.AccessToken)); err != nil || claims.Era != 1 {
		t.Errorf("after a refresh: era %d, %v", claims.Era, err)
	}
	replaced, replacedPair, err := k.Replace(ctx, sessionstore.Replaced{SessionID: late.ID}, params)
	if err != nil {
		t.Fatal(err)
	}
	k.wantLive(t, "ann", replaced.ID)

	if err := k.SignOutAll(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := k.RefreshTokens(ctx, string(replacedPair.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("once more: %v", err)
	}
	wantEnding("of everyone, the second time", replaced.ID, sessionstore.ReasonAllSignedOut, "")
	wantEnding("of everyone, the first time", session.ID, byGrace.Reason, byGrace.By)
}

// However many sessions there are, no row of one is changed, and verifiers get one entry.
func TestSignOutAllChangesNoRow(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.manySessions(t, *signedOutRows)
	edge := k.follow(t)
	_, pair := k.create(t, sessionstore.CreateParams{})
	if _, err := edge.Verify(t.Context(), string(pair.AccessToken)); err != nil {
		t.Fatal(err)
	}
	xid := k.count(t, `SELECT pg_current_xact_id()::text::bigint`)
	began := time.Now()
	if err := k.SignOutAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d sessions ended in %v", *signedOutRows, time.Since(began))
	if n := k.count(t, `SELECT count(*) FROM "sessionStore" s JOIN "sessionStoreToken" t ON t."session" = s."id" WHERE greatest(s.xmin::text::bigint, t.xmin::text::bigint, s.xmax::text::bigint, t.xmax::text::bigint) >= $1`, xid); n != 0 {
		t.Errorf("%d rows were changed", n)
	}
	k.await(t, "the edge to know", func() bool {
		_, err := edge.Verify(t.Context(), string(pair.AccessToken))
		return errors.Is(err, verifier.ErrRevoked)
	})
	if n := edge.Len(); n != 0 {
		t.Errorf("the edge remembers %d sessions", n)
	}
	_, late := k.create(t, sessionstore.CreateParams{})
	if _, err := edge.Verify(t.Context(), string(late.AccessToken)); err != nil {
		t.Errorf("a session from afterwards: %v", err)
	}
}

// Whatever is under way at that moment, no session from before is left, and none from afterwards ends.
func TestSignOutAllBesideEverything(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ctx := t.Context()
	const workers = 6
	var before, after []tokens.Secret // refresh tokens that were handed out before it was asked for, and after it was answered
	var gotten []tokens.Secret        // access tokens of sessions that began before, whenever they were handed out
	var mu sync.Mutex
	var asked, answered bool
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range workers {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				wasAnswered := answered
				mu.Unlock()
				session, pair, err := k.Create(ctx, sessionstore.CreateParams{Subject: fmt.Sprint("user-", i)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				isFromBefore := !asked
				mu.Unlock()
				fails := func(err error) bool {
					return err != nil && (wasAnswered || !errors.Is(err, sessionstore.ErrEnded) && !errors.Is(err, sessionstore.ErrNotReplaceable))
				}
				if n%2 == 0 {
					var refreshed sessionstore.Refreshed
					if refreshed, err = k.RefreshTokens(ctx, string(pair.RefreshToken), sessionstore.Client{}); err == nil {
						pair = refreshed.Pair
					}
				} else {
					var replaced sessionstore.TokenPair
					if _, replaced, err = k.Replace(ctx, sessionstore.Replaced{SessionID: session.ID}, sessionstore.CreateParams{Subject: session.Subject}); err == nil {
						pair = replaced
					}
				}
				if fails(err) {
					t.Errorf("a session from before: %v, from afterwards: %v: %v", isFromBefore, wasAnswered, err)
				}
				if err != nil {
					continue
				}
				mu.Lock()
				switch {
				case !asked:
					before = append(before, pair.RefreshToken)
				case wasAnswered:
					after = append(after, pair.RefreshToken)
				}
				if isFromBefore && n%2 == 0 {
					gotten = append(gotten, pair.AccessToken)
				}
				mu.Unlock()
			}
		})
	}
	enough := func(what string, list *[]tokens.Secret) {
		k.await(t, what, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(*list) >= 10*workers
		})
	}
	enough("sessions before", &before)
	mu.Lock()
	asked = true
	mu.Unlock()
	err := k.SignOutAll(ctx)
	mu.Lock()
	answered = true
	mu.Unlock()
	enough("sessions afterwards", &after)
	close(stop)
	all.Wait()
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range before {
		if _, err := k.RefreshTokens(ctx, string(token), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("a session from before: %v", err)
		}
	}
	for _, token := range gotten {
		if _, _, err := k.Get(ctx, string(token)); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("an access token of a session from before: %v", err)
		}
	}
	for _, token := range after {
		if _, err := k.RefreshTokens(ctx, string(token), sessionstore.Client{}); err != nil {
			t.Errorf("a session from afterwards: %v", err)
		}
	}
}

// Two operators at once begin an era each.
func TestSignOutAllAtOnce(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n = 5
	errs := make([]error, n)
	together(n, func(i int) { errs[i] = k.SignOutAll(t.Context()) })
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if eras := k.count(t, `SELECT max("era") FROM "sessionStoreEra"`); eras != n {
		t.Errorf("%d eras, want %d", eras, n)
	}
}

// Clocks decide nothing: the database's is set back by a day after everyone was signed out, and those who
// sign in then stay, at the edge too.
func TestSignOutAllBeforeTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	k := setup(t)
	edge := k.follow(t)
	_, old := k.create(t, sessionstore.CreateParams{})
	if err := k.SignOutAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.exec(t, `UPDATE "sessionStoreEra" SET "at" = "at" + interval '1 day'`)
	session, pair := k.create(t, sessionstore.CreateParams{})
	k.wantLive(t, session.Subject, session.ID)
	pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	k.await(t, "the edge to know", func() bool {
		_, err := edge.Verify(t.Context(), string(old.AccessToken))
		return errors.Is(err, verifier.ErrRevoked)
	})
	if _, err := edge.Verify(t.Context(), string(pair.AccessToken)); err != nil {
		t.Error(err)
	}
}

// A subject with very many sessions that have ended so has room for new ones, and the old ones keep how they
// ended.
func TestSignOutAllMakesRoom(t *testing.T) {
	t.Parallel()
	for _, action := range []sessionstore.LimitAction{sessionstore.EndOldest, sessionstore.RefuseNew} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			const many = 250 // more than a creation looks at
			for range many {
				k.create(t, sessionstore.CreateParams{Subject: "bot"})
			}
			if err := k.SignOutAll(t.Context(), byGrace); err != nil {
				t.Fatal(err)
			}
			store := newStore(t, k.pool, k.ring, limited(2, action))
			var ids []uuid.UUID
			for range 2 {
				session, _, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "bot"})
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, session.ID)
			}
			k.wantLive(t, "bot", ids...)
			if n := k.count(t, `SELECT count(*) FROM "sessionStore" s, "sessionStoreEra" e WHERE s."revokedAt" = e."at" AND s."endReason" = e."reason" AND s."endedBy" = e."by"`); n == 0 {
				t.Error("none was retired")
			}
		})
	}
}

// Cleanup removes what ended so, after its time, and nothing else.
func TestCleanupAfterSignOutAll(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const n = 30
	k.manySessions(t, n)
	if err := k.SignOutAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	session, _ := k.create(t, sessionstore.CreateParams{})
	rule := cleanup.Rule{Kind: cleanup.Revoked, After: 25 * time.Hour}
	want := func(what string, due int) {
		t.Helper()
		if got, err := k.CountDue(t.Context(), rule); err != nil || got != int64(due) {
			t.Errorf("%s: %d are due, want %d: %v", what, got, due, err)
		}
	}
	want("at once", 0)
	k.exec(t, `UPDATE "sessionStore" SET "createdAt" = "createdAt" - interval '30 hours'`)
	k.exec(t, `UPDATE "sessionStoreEra" SET "at" = "at" - interval '29 hours'`) // later than all of these
	want("afterwards", n)
	removed, err := removeSome(t.Context(), k.Store, rule, 10*n)
	if err != nil || removed.Sessions != n || removed.Pairs != n {
		t.Errorf("%+v, want %d: %v", removed, n, err)
	}
	want("once they are removed", 0)
	k.wantLive(t, session.Subject, session.ID)
}

// The rows of sessions that ended so are changed in batches, as of then; what was interrupted continues.
func TestRevokeSignedOut(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.manySessions(t, 1500)
	if err := k.SignOutAll(t.Context(), byGrace); err != nil {
		t.Fatal(err)
	}
	late, pair := k.create(t, sessionstore.CreateParams{})
	if err := k.SignOutAllBefore(t.Context(), k.databaseNow(t).Add(-time.Hour), sessionstore.Cause{}); err != nil {
		t.Fatal(err) // everyone was signed out since
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first, err := k.RevokeSignedOut(ctx, func(int64) { cancel() })
	if !errors.Is(err, context.Canceled) || first != 1000 {
		t.Fatalf("%d, %v", first, err)
	}
	if second, err := k.RevokeSignedOut(t.Context(), nil); second != 500 || err != nil {
		t.Errorf("%d, %v", second, err)
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStore" s JOIN "sessionStoreToken" t ON t."session" = s."id" CROSS JOIN "sessionStoreEra" e
		WHERE s."revokedAt" = GREATEST(e."at", s."createdAt") AND s."endReason" = $1 AND s."endedBy" = $2 AND t."revokedAt" IS NOT NULL`, byGrace.Reason, byGrace.By); n != 1500 {
		t.Errorf("%d sessions have been revoked as they ended, want all", n)
	}
	k.wantLive(t, late.Subject, late.ID)
	k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
}

// Sessions that an earlier release, or Compas, creates alongside belong to the era in which they begin.
func TestSignOutAllBesideAnEarlierRelease(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.manySessions(t, 1)
	if err := k.SignOutAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.manySessions(t, 1)
	// Compas may have a role that knows its own two tables only.
	err := pgx.BeginFunc(t.Context(), k.pool, func(tx pgx.Tx) error {
		role := `"r` + uuid.NewString() + `"`
		for _, sql := range []string{
			`CREATE ROLE ` + role, `GRANT INSERT ON "sessionStore", "sessionStoreToken" TO ` + role, `SET LOCAL ROLE ` + role,
			`INSERT INTO "sessionStore" ("id", "checksum", "data") VALUES ('01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91', '', '{}')`,
			`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt") VALUES ('01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91', now(), now() + interval '1 day')`,
			`RESET ROLE`, `DROP OWNED BY ` + role, `DROP ROLE ` + role,
		} {
			if _, err := tx.Exec(t.Context(), sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	page, err := k.Find(t.Context(), sessionstore.FindParams{})
	if err != nil || len(page.Sessions) != 2 {
		t.Errorf("%d sessions are live, want 2: %v", len(page.Sessions), err)
	}
}

// Several replicas sign everyone out again when the database has lost it: once, as before. Those who have
// signed in since stay, and so do those who were signed out since.
func TestSignOutAnew(t *testing.T) {
	t.Parallel()
	k := setup(t)
	_, old := k.create(t, sessionstore.CreateParams{})
	early, earlyPair := k.create(t, sessionstore.CreateParams{})
	k.exec(t, `UPDATE "sessionStore" SET "createdAt" = now() + interval '1 day' WHERE "id" = $1`, early.ID) // the clock was ahead
	lost := revocations.SignOut{Era: 3, At: k.databaseNow(t), Reason: string(byGrace.Reason), By: byGrace.By}
	since, sincePair := k.create(t, sessionstore.CreateParams{})
	const replicas = 4
	were, errs := make([]bool, replicas), make([]error, replicas)
	together(replicas, func(i int) {
		conn, err := k.pool.Acquire(t.Context())
		if err != nil {
			errs[i] = err
			return
		}
		defer conn.Release()
		were[i], errs[i] = sessionstore.SignOutAnew(t.Context(), conn.Conn(), lost)
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(were, func(a, b bool) int { return map[bool]int{true: 1}[b] - map[bool]int{true: 1}[a] })
	if diff := cmp.Diff([]bool{true, false, false, false}, were); diff != "" {
		t.Error(diff)
	}
	for what, token := range map[string]tokens.Secret{"from before": old.RefreshToken, "made while the clock was ahead": earlyPair.RefreshToken} {
		if _, err := k.RefreshTokens(t.Context(), string(token), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("a session %s: %v", what, err)
		}
	}
	k.wantLive(t, since.Subject, since.ID)
	k.refresh(t, sincePair.RefreshToken, sessionstore.Rotated)
	if ended, err := k.Load(t.Context(), early.ID); err != nil || ended.Ended.Cause != byGrace {
		t.Errorf("%+v, %v", ended.Ended, err)
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStoreEra" WHERE "era" = 3`); n != 1 {
		t.Errorf("%d eras", n)
	}
}

// Sessions of Compas end with the others, whatever Compas makes of them afterwards; those that it creates
// then live.
func TestSignOutAllBesideCompas(t *testing.T) {
	t.Parallel()
	c := setupCompas(t)
	waiting, taken := c.signIn(t, `{}`), c.signIn(t, `{}`)
	ours := c.refresh(t, taken.refresh, sessionstore.Rotated)
	c.age(t, taken.session, time.Hour) // its predecessor would be a theft
	if err := c.SignOutAll(t.Context(), byGrace); err != nil {
		t.Fatal(err)
	}
	c.rejected(t, waiting.access, sessionstore.ErrEnded)
	c.refused(t, waiting.refresh, sessionstore.ErrEnded)
	c.refused(t, taken.refresh, sessionstore.ErrEnded)
	c.refused(t, ours.RefreshToken, sessionstore.ErrEnded)
	c.rejected(t, ours.AccessToken, sessionstore.ErrEnded)
	rotated := c.rotate(t, waiting)
	c.rejected(t, rotated.access, sessionstore.ErrEnded)
	c.refused(t, rotated.refresh, sessionstore.ErrEnded)

	late := c.signIn(t, `{}`)
	c.accepted(t, late.access)
	pair := c.refresh(t, late.refresh, sessionstore.Rotated)
	if _, claims, err := c.Get(t.Context(), string(pair.AccessToken)); err != nil || claims.Era != 1 {
		t.Errorf("a session from afterwards: era %d, %v", claims.Era, err)
	}
	if n, err := c.RevokeSignedOut(t.Context(), nil); n != 2 || err != nil {
		t.Errorf("%d rows were changed, want 2: %v", n, err)
	}
	if n := c.count(t, `SELECT count(*) FROM "sessionStoreToken" t JOIN "sessionStore" s ON s."id" = t."session" WHERE s."revokedAt" IS NOT NULL AND t."revokedAt" IS NULL`); n != 0 {
		t.Errorf("%d of their rows still refresh with Compas", n)
	}
	c.refresh(t, pair.RefreshToken, sessionstore.StillFresh)
}
