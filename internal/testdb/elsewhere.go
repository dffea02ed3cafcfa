package testdb

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Elsewhere returns connections to a server whose tables of sessions and of the epoch are foreign ones: the rows
// are on a second server, to which the other connections lead. Transactions have numbers of their own on each.
func Elsewhere(tb testing.TB) (here, there *pgxpool.Pool) {
	tb.Helper()

	near, far := NewServer(tb), NewServer(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), endPatience)
	defer cancel()
	address, err := far.server.PeerURL(ctx)
	if err != nil {
		tb.Fatalf("testdb: the server's address: %v", err)
	}
	to, err := url.Parse(address)
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	password, _ := to.User.Password()
	here = near.Pool()
	for _, statement := range []string{
		`DROP TABLE "sessionStore", "sessionStoreToken", "sessionStoreEpoch" CASCADE`,
		`CREATE EXTENSION postgres_fdw`,
		`CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host ` + literal(to.Hostname()) + `, port ` + literal(to.Port()) + `, dbname ` + literal(strings.TrimPrefix(to.Path, "/")) + `)`,
		`CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user ` + literal(to.User.Username()) + `, password ` + literal(password) + `)`,
		`IMPORT FOREIGN SCHEMA public LIMIT TO ("sessionStore", "sessionStoreToken", "sessionStoreEpoch") FROM SERVER far INTO public OPTIONS (import_default 'true')`,
	} {
		if _, err := here.Exec(ctx, statement); err != nil {
			tb.Fatalf("testdb: foreign tables: %v", fmt.Errorf("%.40s: %w", statement, err))
		}
	}

	return here, far.Pool()
}

func literal(text string) string { return `'` + strings.ReplaceAll(text, `'`, `''`) + `'` }
