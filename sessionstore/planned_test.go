package sessionstore_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// No statement of a request is planned again each time, which takes longer than running it: after
// five times PostgreSQL keeps a plan, unless it expects less work where it knows the arguments.
func TestStatementsArePlannedOnce(t *testing.T) {
	t.Parallel()
	store, pool, _ := oneConnection(t, rotating())
	ctx := t.Context()
	exec := func(sql string) {
		t.Helper()
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO "sessionStore" ("checksum", "data", "subject", "revokedAt", "revokedXid")
		SELECT '', '{}', 'user-' || i % 100, CASE i % 4 WHEN 0 THEN now() - i * interval '1 s' END, CASE i % 4 WHEN 0 THEN '7'::xid8 END FROM generate_series(1, 4000) i`)
	exec(`INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
		SELECT "id", now(), now() + interval '1 day', current_date, now() FROM "sessionStore"`)
	exec(`ANALYZE "sessionStore", "sessionStoreToken"`)

	operations := everyOperation(t, store)
	for name, params := range map[string]sessionstore.FindParams{
		"everyone's": {}, "everyone's, both": {Any: true}, "everyone's ended": {Ended: true}, "a subject's, both": {Subject: "user-1", Any: true}, "a subject's ended": {Subject: "user-1", Ended: true},
	} {
		operations = append(operations, operationOnSession{"Find, " + name, func() error {
			_, err := store.Find(ctx, params)
			return err
		}})
	}
	session, _, err := store.Create(ctx, sessionstore.CreateParams{Subject: "user-2"})
	if err != nil {
		t.Fatal(err)
	}
	operations = append(operations, operationOnSession{"History", func() error {
		_, err := store.History(ctx, session.ID)
		return err
	}}, operationOnSession{"InvalidateSubject", func() error {
		_, err := store.InvalidateSubject(ctx, "user-3", uuid.Nil)
		return err
	}})
	for _, op := range operations {
		if strings.HasSuffix(op.name, "Due") { // of cleanup, for thousands of sessions at a time
			continue
		}
		pool.Reset()
		for range 7 {
			if err := op.do(); err != nil {
				t.Fatalf("%s: %v", op.name, err)
			}
		}
		rows, err := pool.Query(ctx, `SELECT "statement" FROM "pg_prepared_statements" WHERE "custom_plans" > 5`)
		if err != nil {
			t.Fatal(err)
		}
		again, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range again {
			t.Errorf("%s: planned again each time:\n%s", op.name, statement)
		}
	}
}
