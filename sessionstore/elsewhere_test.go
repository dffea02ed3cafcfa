package sessionstore_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// Where the rows are on another server than the one whose transactions and snapshots a follower sees, it
// would miss revocations. It notices, and each token is checked with the database.
func TestAFollowerNoticesThatRowsAreOnAnotherServer(t *testing.T) {
	t.Parallel()
	here, there := testdb.Elsewhere(t)
	for range 200 { // each server has had another number of transactions
		if _, err := here.Exec(t.Context(), `SELECT pg_current_xact_id()`); err != nil {
			t.Fatal(err)
		}
	}
	const bound = time.Second
	ring := testkeys.Ring(t)
	behind, err := sessionstore.New(here, ring, config())
	if err != nil {
		t.Fatal(err)
	}
	store, err := sessionstore.New(there, ring, config())
	if err != nil {
		t.Fatal(err)
	}
	log := &testservice.Output{}
	edge, err := behind.Verifier(verifier.Config{Bound: bound, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- edge.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	session, pair, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	testservice.Await(t, "the reason in the log", func() bool {
		return strings.Contains(log.String(), "the sessions are not on the server that numbers the transactions")
	})
	if _, err := edge.Verify(t.Context(), string(pair.AccessToken)); err != nil {
		t.Errorf("a live session: %v", err)
	}
	if err := store.Invalidate(t.Context(), session.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := edge.Verify(t.Context(), string(pair.AccessToken)); !errors.Is(err, verifier.ErrRevoked) {
		t.Errorf("a session that was revoked: %v", err)
	}
	if age := edge.Age(); age < bound {
		t.Errorf("revocations are said to be known up to %v ago", age)
	}
}
