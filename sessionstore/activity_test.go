package sessionstore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Creations and ends of sessions are counted by the hour, without those of another day.
func TestActivity(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for i := range 6 {
		session, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
		switch i {
		case 0, 1, 2:
			if err := k.Invalidate(t.Context(), session.ID, sessionstore.Cause{Reason: sessionstore.ReasonLimit}); err != nil {
				t.Fatal(err)
			}
			ago := []time.Duration{0, 100 * time.Minute, 25 * time.Hour}[i]
			k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() - $2::interval WHERE "id" = $1`, session.ID, ago)
		case 3:
			k.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() WHERE "session" = $1`, session.ID)
		}
	}
	now := time.Now().Add(time.Minute)
	got, known, err := k.Activity(t.Context(), now)
	if err != nil || !known {
		t.Fatal(known, err)
	}
	const last = sessionstore.Hours - 1
	want := sessionstore.Activity{From: now.Add(-24 * time.Hour), Ended: map[sessionstore.Reason]*[sessionstore.Hours]int64{sessionstore.ReasonLimit: {last: 1, last - 1: 1}}}
	want.Created[last] = 6
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, _, err := k.Activity(t.Context(), now.Add(48*time.Hour)); err != nil || got.Created != [sessionstore.Hours]int64{} || len(got.Ended) != 0 {
		t.Errorf("two days later: %+v, %v", got, err)
	}
	k.exec(t, `ANALYZE "sessionStore"`)
	if n, err := k.EstimateKept(t.Context()); n != 6 || err != nil { // live and ended ones
		t.Errorf("%d, %v kept", n, err)
	}
	if n, isExact, err := k.CountLive(t.Context()); n != 2 || !isExact || err != nil {
		t.Errorf("%d, %v, %v live", n, isExact, err)
	}
}

// If counting takes too long, the number of live sessions is an estimate and says so, and the
// activity is not known.
func TestCountingIsBounded(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.create(t, sessionstore.CreateParams{Subject: "ada"})
	for _, table := range []string{"sessionStore", "sessionStoreToken"} { // to read a row of them takes a minute
		k.exec(t, `ALTER TABLE "`+table+`" RENAME TO "slow`+table+`"`)
		k.exec(t, `CREATE VIEW "`+table+`" AS SELECT * FROM "slow`+table+`" WHERE pg_sleep(60) IS NOT NULL`)
	}
	if _, isExact, err := k.CountLive(t.Context()); isExact || err != nil {
		t.Errorf("%v, %v", isExact, err)
	}
	if _, known, err := k.Activity(t.Context(), time.Now()); known || err != nil {
		t.Errorf("%v, %v", known, err)
	}
}
