package sessionstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// PostgreSQL itself gives up on a batch, and the next user of the connection has no
// shorter time limit.
func TestRemoveDueGivesUp(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sessionstore.CreateParams{})
	if err := k.Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	k.exec(t, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN OLD; END $$`)
	k.exec(t, `CREATE TRIGGER slow BEFORE DELETE ON "sessionStore" FOR EACH ROW EXECUTE FUNCTION slow()`)
	rule, ids := cleanup.Rule{Kind: cleanup.Revoked, After: -time.Hour}, []uuid.UUID{session.ID}
	began := time.Now()
	removed, err := k.RemoveDue(t.Context(), rule, ids, 50*time.Millisecond)
	if !errors.Is(err, cleanup.ErrSlow) || !errors.Is(err, sessionstore.ErrUnavailable) || removed != (cleanup.Removed{}) {
		t.Errorf("%+v, %v", removed, err)
	}
	if took := time.Since(began); took < 50*time.Millisecond || took > time.Minute {
		t.Errorf("it took %v", took)
	}
	// A caller that cancelled it does not get the error of a slow database.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := k.RemoveDue(ctx, rule, ids, time.Minute); err == nil || errors.Is(err, cleanup.ErrSlow) {
		t.Errorf("its context ended: %v", err)
	}
	k.exec(t, `CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN OLD; END $$`)
	// A connection that was abandoned may not have noticed, and would hold its lock for as long as it sleeps.
	k.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`)
	began = time.Now()
	removed, err = k.RemoveDue(t.Context(), rule, ids, time.Minute)
	for errors.Is(err, sessionstore.ErrCleanupRunning) { // nor is its end at once
		began = time.Now()
		removed, err = k.RemoveDue(t.Context(), rule, ids, time.Minute)
	}
	if err != nil || removed.Sessions != 1 || removed.Pairs != 1 || removed.Took < 100*time.Millisecond || removed.Took > time.Since(began) {
		t.Errorf("%+v, %v", removed, err)
	}
	for _, conn := range k.pool.AcquireAllIdle(t.Context()) {
		var setting string
		if err := conn.QueryRow(t.Context(), `SHOW statement_timeout`).Scan(&setting); err != nil || setting != "0" {
			t.Errorf("a connection is left with a timeout of %s, %v", setting, err)
		}
		conn.Release()
	}
}

// The time of a batch includes the end of its statement, when PostgreSQL looks for rows that refer to each of the removed
// ones.
func TestTookIncludesForeignKeys(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sessionstore.CreateParams{})
	if err := k.Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	k.exec(t, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$`)
	k.exec(t, `CREATE TRIGGER slow AFTER DELETE ON "sessionStore" FOR EACH ROW EXECUTE FUNCTION slow()`)
	removed, err := k.RemoveDue(t.Context(), cleanup.Rule{Kind: cleanup.Revoked, After: -time.Hour}, []uuid.UUID{session.ID}, time.Minute)
	if err != nil || removed.Sessions != 1 || removed.Took < 100*time.Millisecond {
		t.Errorf("%+v, %v", removed, err)
	}
}

// A removal does not wait until it is on the disk. An ended session does.
func TestWhatIsRemovedNeedNotBeDurable(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sessionstore.CreateParams{})
	k.exec(t, `CREATE TABLE noted ("what" text, "commit" text)`)
	k.exec(t, `CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		INSERT INTO noted VALUES (TG_OP, current_setting('synchronous_commit')); RETURN COALESCE(NEW, OLD); END $$`)
	k.exec(t, `CREATE TRIGGER note BEFORE UPDATE OF "revokedAt" OR DELETE ON "sessionStore" FOR EACH ROW EXECUTE FUNCTION note()`)
	k.exec(t, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = remote_apply', current_database()); END $$`)
	k.pool.Reset()
	for _, kind := range []cleanup.Kind{cleanup.Aged, cleanup.Revoked} {
		removed, err := k.RemoveDue(t.Context(), cleanup.Rule{Kind: kind, After: -time.Hour}, []uuid.UUID{session.ID}, time.Minute)
		if err != nil || removed.Sessions != 1 {
			t.Errorf("%s: %+v, %v", kind, removed, err)
		}
	}
	var noted string
	if err := k.pool.QueryRow(t.Context(), `SELECT string_agg("what" || ' ' || "commit", ', ' ORDER BY "what" DESC) FROM noted`).Scan(&noted); err != nil || noted != "UPDATE remote_apply, DELETE off" {
		t.Errorf("%s, %v", noted, err)
	}
}

// A search says how long the last session that it found has been due: the retention is over for the others even longer.
func TestFindDueSaysForHowLong(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const after, day = 20 * time.Hour, 24 * time.Hour
	for i, ago := range []time.Duration{100 * day, 50 * day} {
		session, _ := k.create(t, sessionstore.CreateParams{})
		k.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() - $2::interval, "expiresOn" = ((now() - $2::interval) AT TIME ZONE 'UTC')::date WHERE "session" = $1`, session.ID, ago)
		k.exec(t, `UPDATE "sessionStore" SET "createdAt" = now() - $2::interval WHERE "id" = $1`, session.ID, ago)
		revoked, _ := k.create(t, sessionstore.CreateParams{})
		if err := k.Invalidate(t.Context(), revoked.ID); err != nil {
			t.Fatal(err)
		}
		k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() - $2::interval, "createdAt" = now() - $2::interval WHERE "id" = $1`, revoked.ID, ago)
		for _, kind := range []cleanup.Kind{cleanup.Expired, cleanup.Revoked, cleanup.Aged} {
			due, err := k.FindDue(t.Context(), cleanup.Rule{Kind: kind, After: after}, i+1)
			want := ago - after
			// A day's sessions expire at its end.
			if early := want - due.Overdue; err != nil || len(due.IDs) != i+1 || early > day || early < -time.Hour || kind != cleanup.Expired && early > 0 {
				t.Errorf("%s, %v after its end: %+v, %v", kind, ago, due, err)
			}
		}
	}
}

// A row that was found may no longer be due when its turn comes.
func TestRemoveDueLooksAgain(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sessionstore.CreateParams{})
	for _, kind := range []cleanup.Kind{cleanup.Expired, cleanup.Revoked, cleanup.Aged, cleanup.Superfluous} {
		removed, err := k.RemoveDue(t.Context(), cleanup.Rule{Kind: kind, After: time.Hour}, []uuid.UUID{session.ID, uuid.New()}, time.Minute)
		if err != nil || removed.Sessions != 0 || removed.Pairs != 0 {
			t.Errorf("%s: %+v, %v", kind, removed, err)
		}
	}
	if _, err := k.RemoveDue(t.Context(), cleanup.Rule{Kind: "bored"}, nil, time.Minute); !errors.Is(err, sessionstore.ErrInvalidArgument) {
		t.Errorf("an unknown kind: %v", err)
	}
}
