package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Thefts stay readable with their sessions, with everything reported, latest first.
func TestThefts(t *testing.T) {
	t.Parallel()
	k, _ := setupLeaks(t)
	thief := sessionstore.Client{UserAgent: "curl/8", IP: "2001:db8::1"}
	var want []uuid.UUID
	for _, subject := range []string{"ada", "bob", "eve"} {
		session, first := k.create(t, sessionstore.CreateParams{Subject: subject})
		k.age(t, session.ID, time.Hour)
		k.get(t, k.refresh(t, first.RefreshToken, sessionstore.Rotated))
		k.age(t, session.ID, time.Hour)
		if _, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), thief); !errors.Is(err, sessionstore.ErrReuse) {
			t.Fatal(err)
		}
		want = append([]uuid.UUID{session.ID}, want...)
	}
	ended, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
	if err := k.Invalidate(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	k.exec(t, `UPDATE "sessionStore" SET "theft" = NULL WHERE "subject" = 'bob'`) // as an earlier release leaves it

	reports := k.reports(t)
	var got []uuid.UUID
	for params := (sessionstore.ListParams{Limit: 2}); ; {
		page, err := k.Thefts(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		for _, theft := range page.Thefts {
			got = append(got, theft.SessionID)
			switch {
			case theft.Theft != sessionstore.Stale || theft.DetectedAt.IsZero():
				t.Errorf("%+v", theft)
			case theft.Subject == "bob" && !theft.SessionCreatedAt.IsZero():
				t.Errorf("nothing more is known of it: %+v", theft)
			case theft.Subject != "bob" && theft.PresentedBy != thief:
				t.Errorf("%+v", theft.PresentedBy)
			}
		}
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	one, err := k.Theft(t.Context(), want[2])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(reports[0], one, cmpopts.EquateApproxTime(time.Second)); diff != "" {
		t.Errorf("it is not what was reported: %s", diff)
	}
	for _, id := range []uuid.UUID{ended.ID, uuid.New()} {
		if _, err := k.Theft(t.Context(), id); !errors.Is(err, sessionstore.ErrNotFound) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := k.Thefts(t.Context(), sessionstore.ListParams{Cursor: "x"}); err == nil {
		t.Error("a made-up cursor is taken")
	}
}
