package events_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Every statement is prepared against the migrated schema.
func TestQueriesPrepare(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), setup(t).url)
	if err != nil {
		t.Fatal(err)
	}
	for name, query := range events.Queries {
		if _, err := conn.Prepare(t.Context(), name, query); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// More than a transaction takes is derived by several. Between them others commit that
// began before, and one ends many sessions at once.
func TestDerivedInParts(t *testing.T) {
	t.Parallel()
	k := setup(t)
	runner, err := events.New(config(k.pool, endpointOf("receiver", "http://localhost:1")))
	if err != nil {
		t.Fatal(err)
	}
	runner.SetMost(3)
	derive := func() (more bool) {
		t.Helper()
		_, more, err := events.DeriveOnce(runner, t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return more
	}
	derive()
	var first uuid.UUID
	for i := range 10 {
		if id := k.create(t, sessionstore.CreateParams{}); i == 0 {
			first = id
		}
	}
	early, err := k.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = early.Rollback(t.Context()) }()
	if _, err := early.Exec(t.Context(), `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" = $1`, first); err != nil {
		t.Fatal(err)
	}
	k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now() WHERE "id" <> $1`, first)
	for range 2 {
		if !derive() {
			t.Fatal("all was derived at once")
		}
	}
	if err := early.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	for derive() {
	}
	for range 3 {
		k.create(t, sessionstore.CreateParams{})
	}
	for derive() {
	}
	k.await(t, `SELECT count(*) = 23 AND count(DISTINCT ("session", "type")) = 23 FROM "sessionStoreDelivery"`)
	k.await(t, `SELECT NOT EXISTS (SELECT FROM "sessionStoreDelivery" c JOIN "sessionStoreDelivery" e USING ("session")
		WHERE c."type" = 'session.created' AND e."type" = 'session.ended' AND c."id" > e."id")`)
}

// A dump that is restored elsewhere has transactions of another server: events continue
// from there.
func TestRestoredDump(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	k.run(t, endpointOf("receiver", r.URL))
	k.exec(t, `UPDATE "sessionStoreEvents" SET "snapshot" = '9000000000:9000000000:', "system" = 'another'`)
	k.await(t, `SELECT "system" <> 'another' FROM "sessionStoreEvents"`)
	k.create(t, sessionstore.CreateParams{})
	r.await(1)
}
