package sessionstore_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	k := setup(t)
	phone := sessionstore.Client{Label: "phone", UserAgent: "app/1", IP: "192.0.2.7"}
	session, pair := k.create(t, sessionstore.CreateParams{Client: phone})
	want := sessionstore.History{Session: sessionstore.Session{
		ID: session.ID, Subject: session.Subject, ClientID: session.ClientID, Client: phone, CreatedAt: session.CreatedAt, UpdatedAt: session.UpdatedAt, ExpiresAt: session.ExpiresAt,
	}}
	got, err := k.History(t.Context(), session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a new session: %s", diff)
	}

	pair = k.refresh(t, pair.RefreshToken, sessionstore.Rotated)
	k.age(t, session.ID, time.Hour)
	moved := sessionstore.Client{UserAgent: "app/2", IP: "198.51.100.9"}
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), moved); err != nil {
		t.Fatal(err)
	}
	k.exec(t, `UPDATE "sessionStore" SET "data" = '"unreadable"'`)
	if err := k.Invalidate(t.Context(), session.ID, sessionstore.Cause{Reason: sessionstore.ReasonOperator, By: "eve@desk"}); err != nil {
		t.Fatal(err)
	}
	got, err = k.History(t.Context(), session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Refreshes != 2 || got.Session.LastClient != moved || got.Session.Client != phone || got.Session.RefreshedAt.IsZero() {
		t.Errorf("%+v", got)
	}
	if ended := got.Session.Ended; ended.Reason != sessionstore.ReasonOperator || ended.By != "eve@desk" || !ended.At.Equal(got.Session.RevokedAt) {
		t.Errorf("%+v", ended)
	}
	if _, err := k.History(t.Context(), uuid.New()); !errors.Is(err, sessionstore.ErrNotFound) {
		t.Errorf("an unknown session: %v", err)
	}
}

// The privileges of a session change: with claims that supersede its access tokens, and
// where another takes its place.
func TestHistoryOfPrivileges(t *testing.T) {
	t.Parallel()
	k := setup(t)
	guest, _, err := k.Create(t.Context(), sessionstore.CreateParams{})
	if err != nil {
		t.Fatal(err)
	}
	bystander, _ := k.create(t, sessionstore.CreateParams{Subject: "eve"})
	session, _ := k.replace(t, sessionstore.Replaced{SessionID: guest.ID}, sessionstore.CreateParams{Subject: "ann"})
	raised, _ := k.replace(t, sessionstore.Replaced{SessionID: session.ID}, sessionstore.CreateParams{IdempotencyKey: "raised"})
	history := func(id uuid.UUID) sessionstore.History {
		t.Helper()
		h, err := k.History(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	for id, want := range map[uuid.UUID]*sessionstore.Predecessor{
		guest.ID: nil, bystander.ID: nil, session.ID: {ID: guest.ID}, raised.ID: {ID: session.ID, Subject: "ann"},
	} {
		got := history(id)
		if diff := cmp.Diff(want, got.Replaces); diff != "" || !got.SupersededAt.IsZero() {
			t.Errorf("superseded at %v: %s", got.SupersededAt, diff)
		}
	}

	setClaims := func(claims string, options sessionstore.SetClaimsOptions) {
		t.Helper()
		_, checksum, err := k.LoadClaims(t.Context(), raised.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.SetClaims(t.Context(), raised.ID, checksum, []byte(claims), options); err != nil {
			t.Fatal(err)
		}
	}
	setClaims(`{"role":"editor"}`, sessionstore.SetClaimsOptions{})
	if got := history(raised.ID).SupersededAt; !got.IsZero() {
		t.Errorf("claims that wait for a refresh superseded at %v", got)
	}
	setClaims(`{"role":"reader"}`, sessionstore.SetClaimsOptions{Supersede: true})
	if got := history(raised.ID).SupersededAt; got.Before(raised.CreatedAt) || got.IsZero() {
		t.Errorf("superseded at %v", got)
	}
}
