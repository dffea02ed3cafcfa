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

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// wantEnded requires the session to have ended for that cause.
func (k kit) wantEnded(t *testing.T, id uuid.UUID, want sessionstore.Cause) {
	t.Helper()
	session, err := k.Load(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, session.Ended.Cause); diff != "" || session.Ended.At.IsZero() {
		t.Errorf("ended at %v: %s", session.Ended.At, diff)
	}
}

// Each way of ending a session has its reason, and who or what did it.
func TestEndings(t *testing.T) {
	t.Parallel()
	by := func(reason sessionstore.Reason, by string) sessionstore.Cause {
		return sessionstore.Cause{Reason: reason, By: by}
	}
	for name, end := range map[string]func(t *testing.T, k kit, s sessionstore.Session, pair sessionstore.TokenPair) (sessionstore.Cause, error){
		"without a cause": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			return by(sessionstore.ReasonBackend, ""), k.Invalidate(t.Context(), s.ID)
		},
		"with a cause": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			cause := by(sessionstore.ReasonReplaced, "the new one")
			return cause, k.Invalidate(t.Context(), s.ID, cause)
		},
		"for someone with a long name": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			return by(sessionstore.ReasonOperator, strings.Repeat("x", 255)),
				k.Invalidate(t.Context(), s.ID, by(sessionstore.ReasonOperator, strings.Repeat("x", 256)))
		},
		"by its token": func(t *testing.T, k kit, s sessionstore.Session, pair sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			return sessionstore.SignedOut(s.ID), k.RevokeToken(t.Context(), string(pair.RefreshToken))
		},
		"from elsewhere": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			cause := by(sessionstore.ReasonSignedOutElsewhere, "another")
			return cause, k.InvalidateOwn(t.Context(), s.Subject, s.ID, cause)
		},
		"everywhere": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			cause := by(sessionstore.ReasonSignedOutEverywhere, "another")
			_, err := k.InvalidateSubject(t.Context(), s.Subject, uuid.Nil, cause)
			return cause, err
		},
		"with everyone's": func(t *testing.T, k kit, _ sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			_, err := k.InvalidateAll(t.Context(), nil)
			return by(sessionstore.ReasonAllSignedOut, ""), err
		},
		"for the limit": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			newest, _, err := newStore(t, k.pool, k.ring, limited(1, "")).Create(t.Context(), sessionstore.CreateParams{Subject: s.Subject})
			return by(sessionstore.ReasonLimit, newest.ID.String()), err
		},
		"for a theft": func(t *testing.T, k kit, s sessionstore.Session, stolen sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			pair := k.refresh(t, stolen.RefreshToken, sessionstore.Rotated)
			k.age(t, s.ID, time.Hour)
			k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
			k.age(t, s.ID, time.Hour)
			if _, err := k.RefreshTokens(t.Context(), string(stolen.RefreshToken), sessionstore.Client{}); err == nil {
				t.Error("a stolen token refreshed")
			}
			return by(sessionstore.ReasonTheft, "old"), nil
		},
		"for its age": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			k.exec(t, `UPDATE "sessionStore" SET "createdAt" = now() - interval '2 hours' WHERE "id" = $1`, s.ID)
			_, err := removeSome(t.Context(), k.Store, cleanup.Rule{Kind: cleanup.Aged, After: time.Hour}, 10)
			return by(sessionstore.ReasonMaxAge, ""), err
		},
		"directly in the database": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, s.ID)
			return by(sessionstore.ReasonNotRecorded, ""), nil
		},
		"of itself": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			k.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() - interval '1 s' WHERE "session" = $1`, s.ID)
			return by(sessionstore.ReasonIdle, ""), k.Invalidate(t.Context(), s.ID) // too late
		},
		"at its absolute end": func(t *testing.T, k kit, s sessionstore.Session, _ sessionstore.TokenPair) (sessionstore.Cause, error) {
			t.Helper()
			k.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() - interval '1 s', "sessionExpiresAt" = now() - interval '1 s' WHERE "session" = $1`, s.ID)
			return by(sessionstore.ReasonExpired, ""), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			session, pair := k.create(t, sessionstore.CreateParams{})
			if live, err := k.Load(t.Context(), session.ID); err != nil || live.Ended != (sessionstore.Ending{}) {
				t.Fatalf("while it lives: %+v, %v", live.Ended, err)
			}
			want, err := end(t, k, session, pair)
			if err != nil {
				t.Fatal(err)
			}
			k.wantEnded(t, session.ID, want)
		})
	}
}

// Of several calls that end a session at once, one does, and its cause stays.
func TestTheFirstCauseStays(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sessionstore.CreateParams{})
	causes := []sessionstore.Cause{{Reason: sessionstore.ReasonBackend, By: "a"}, {Reason: sessionstore.ReasonOperator, By: "b"}, {Reason: sessionstore.ReasonSignedOut, By: "c"}}
	var all sync.WaitGroup
	for _, cause := range causes {
		all.Go(func() {
			if err := k.Invalidate(t.Context(), session.ID, cause); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ended, err := k.Load(t.Context(), session.ID)
	if err != nil || len(ended.Ended.By) != 1 {
		t.Fatalf("%+v, %v", ended.Ended, err)
	}
	for _, end := range []func(context.Context) error{
		func(ctx context.Context) error { return k.Invalidate(ctx, session.ID, causes[0]) },
		func(ctx context.Context) error {
			_, err := k.InvalidateSubject(ctx, session.Subject, uuid.Nil, causes[1])
			return err
		},
		func(ctx context.Context) error { _, err := k.InvalidateAll(ctx, nil); return err },
	} {
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	after, err := k.Load(t.Context(), session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ended.Ended, after.Ended); diff != "" {
		t.Error(diff)
	}
}

// A reason that callers must not give ends nothing.
func TestCauseIsChecked(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sessionstore.CreateParams{})
	wantField := func(err error, field string) {
		t.Helper()
		if e, ok := errors.AsType[*sessionstore.ArgumentError](err); !ok || e.Field != field {
			t.Errorf("%v, not of %s", err, field)
		}
	}
	for _, reason := range []sessionstore.Reason{"boredom", sessionstore.ReasonIdle, sessionstore.ReasonExpired, sessionstore.ReasonNotRecorded} {
		wantField(k.Invalidate(t.Context(), session.ID, sessionstore.Cause{Reason: reason}), "reason")
	}
	wantField(k.Invalidate(t.Context(), session.ID, sessionstore.Cause{}, sessionstore.Cause{}), "cause")
	k.wantLive(t, session.Subject, session.ID)
}

// A page of sessions that have expired is retired, and says how they expired.
func TestRetiredSessionsSayHowTheyExpired(t *testing.T) {
	t.Parallel()
	k := setupWith(t, limited(1, ""))
	session, _ := k.create(t, sessionstore.CreateParams{})
	k.exec(t, `
WITH made AS (
  INSERT INTO "sessionStore" ("id", "checksum", "data", "createdAt", "updatedAt", "subject")
  SELECT gen_random_uuid(), '', '{}', now(), now(), $1 FROM generate_series(1, 1100) n RETURNING "id"
)
INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt", "sessionExpiresAt")
SELECT gen_random_uuid(), "id", now(), now() - interval '1 s', current_date, now(), CASE WHEN get_byte(uuid_send("id"), 0) < 128 THEN now() - interval '1 s' END FROM made`, session.Subject)
	k.create(t, sessionstore.CreateParams{})
	for _, reason := range []sessionstore.Reason{sessionstore.ReasonIdle, sessionstore.ReasonExpired} {
		if k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "endReason" = $1 AND "endedBy" IS NULL`, reason) == 0 {
			t.Errorf("none is %s", reason)
		}
	}
}
