package sessionstore

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/groupcommit"
	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A session that is made by a statement for each row is the same as one that is made by a single statement, alone or with
// others.
func TestCreateApartMakesTheSameRows(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	store, err := New(pool, testkeys.Ring(t), Config{Tokens: tokens.Config{Issuer: "https://issuer.test", Audience: "api"}})
	if err != nil {
		t.Fatal(err)
	}
	on := newStatements(isolation.Pool{Pool: pool}, store.cfg)
	params := []CreateParams{
		{},
		{Subject: "ada", Data: []byte(`{"cart": [1, 2]}`), Client: Client{Label: "phone", UserAgent: "ua", IP: "192.0.2.1"}},
		{
			Subject: "bob", KeyThumbprint: "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", Claims: []byte(`{"role":"admin"}`),
			Lifetimes: Lifetimes{AccessToken: time.Minute, RefreshToken: time.Hour, Session: 30 * time.Minute},
		},
	}
	made := func(do func(context.Context, []*groupcommit.Call[*creation]) error) (rows []map[string]any) {
		t.Helper()
		var calls []*groupcommit.Call[*creation]
		for _, p := range params {
			checked, err := store.checkParams(p)
			if err != nil {
				t.Fatal(err)
			}
			c, err := store.prepare(t.Context(), checked)
			if err != nil {
				t.Fatal(err)
			}
			calls = append(calls, &groupcommit.Call[*creation]{Of: c})
		}
		if err := do(t.Context(), calls); err != nil {
			t.Fatal(err)
		}
		for _, call := range calls {
			c := call.Of
			const query = `
SELECT to_jsonb(s) - '{id,createdAt,updatedAt}'::text[], to_jsonb(t) - '{id,session,createdAt,expiresAt,expiresOn,accessExpiresAt,sessionExpiresAt}'::text[],
  s."createdAt" = t."createdAt" AND s."createdAt" = s."updatedAt" AND s."createdAt" = $3 AND t."expiresAt" = $4 AND t."accessExpiresAt" = $5
    AND t."expiresOn" = (t."expiresAt" AT TIME ZONE 'UTC')::date AS "times",
  extract(epoch FROM t."expiresAt" - t."createdAt")::bigint, extract(epoch FROM t."accessExpiresAt" - t."createdAt")::bigint, extract(epoch FROM t."sessionExpiresAt" - t."createdAt")::bigint
FROM "sessionStore" s JOIN "sessionStoreToken" t ON t."session" = s."id" WHERE s."id" = $1 AND t."id" = $2`
			var session, pair map[string]any
			var times bool
			var expires, accessExpires int64
			var end *int64
			if err := pool.QueryRow(t.Context(), query, c.session.ID.String(), c.pair.ID.String(), c.session.CreatedAt, c.pair.ExpiresAt, c.pair.AccessExpiresAt).Scan(
				&session, &pair, &times, &expires, &accessExpires, &end); err != nil {
				t.Fatal(err)
			}
			if !times {
				t.Errorf("%s: the times are not those that the store was told", c.session.Subject)
			}
			rows = append(rows, map[string]any{"session": session, "pair": pair, "expires": expires, "accessExpires": accessExpires, "end": end})
		}
		return rows
	}
	want := made(on.createAtOnce)
	if diff := cmp.Diff(want, made(on.createApart)); diff != "" {
		t.Errorf("a statement for each row (-at once +apart):\n%s", diff)
	}
	alone := func(ctx context.Context, all []*groupcommit.Call[*creation]) error {
		for i := range all {
			if err := on.createApart(ctx, all[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	if diff := cmp.Diff(want, made(alone)); diff != "" {
		t.Errorf("each alone (-at once +apart):\n%s", diff)
	}

	// All or none.
	conflict := func(ctx context.Context, all []*groupcommit.Call[*creation]) error {
		last := *all[len(all)-1].Of
		last.pair.ID = all[0].Of.pair.ID
		before := count(ctx, t, pool)
		if err := on.createApart(ctx, append(all[:2:2], &groupcommit.Call[*creation]{Of: &last})); err == nil {
			t.Error("two pairs with one id")
		}
		if after := count(ctx, t, pool); after != before {
			t.Errorf("%d sessions were made of a transaction that failed", after-before)
		}
		return on.createApart(ctx, all)
	}
	made(conflict)
}

func count(ctx context.Context, t *testing.T, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
},
) (n int) {
	t.Helper()
	if err := db.QueryRow(ctx, `SELECT count(*) FROM "sessionStore"`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
