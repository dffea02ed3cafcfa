package console

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// LinkLifetime is how long a link is valid.
const LinkLifetime = 2 * time.Minute

const makeLinkQuery = `
WITH "gone" AS (DELETE FROM "sessionStoreConsoleLink" WHERE "expiresAt" <= now())
INSERT INTO "sessionStoreConsoleLink" ("digest", "operator", "expiresAt") VALUES ($1, $2, now() + $3)`

// Citus accepts no now() in RETURNING.
const useLinkQuery = `
WITH "used" AS (DELETE FROM "sessionStoreConsoleLink" WHERE "digest" = $1 RETURNING "operator", "expiresAt")
SELECT "operator", "expiresAt" > now() FROM "used"`

// MakeLink returns the path of a link that signs an operator in, once. Anyone who can write to
// the database can make one; the database has only its digest.
func MakeLink(ctx context.Context, pool *pgxpool.Pool, operator string) (path string, err error) {
	code := rand.Text()
	if _, err := (isolation.Pool{Pool: pool}).Exec(ctx, makeLinkQuery, digest(code), operator, LinkLifetime); err != nil {
		return "", fmt.Errorf("console: make a link: %w", err)
	}
	return root + "/link/" + code, nil
}

func digest(code string) []byte {
	sum := sha256.Sum256([]byte(code))
	return sum[:]
}

// showLink does not use up the link: programs that preview links open it.
func (c *Console) showLink(w http.ResponseWriter, r *http.Request) error {
	return c.render(w, r, http.StatusOK, "sign-in", "Sign in", signInPage{Next: root + "/", Link: r.PathValue("code")})
}

func (c *Console) useLink(w http.ResponseWriter, r *http.Request) error {
	page := signInPage{Next: root + "/"}
	if !c.attempts.allows(httpapi.Origin(r.Context()).ClientIP) {
		return c.tooMany(w, r, page)
	}
	var name string
	var good bool
	err := (isolation.Pool{Pool: c.cfg.Pool}).QueryRow(r.Context(), useLinkQuery, digest(r.PathValue("code"))).Scan(&name, &good)
	switch {
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%w: use a link: %w", sessionstore.ErrUnavailable, err)
	case err != nil || !good:
		c.refused(r)
		page.Problem = "The link was used before, or is too old. Make another one: api console"
		return c.render(w, r, http.StatusForbidden, "sign-in", "Sign in", page)
	}
	return c.begin(w, r, operator{Name: name}, byLink, signedIn{}, page.Next)
}
