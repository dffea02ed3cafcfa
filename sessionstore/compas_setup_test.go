package sessionstore_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const compasKey = "a key of Compas, as its applications have"

const (
	accessClaim  = "compasSessionAccessToken"
	refreshClaim = "compasSessionRefreshToken"
)

// compas writes rows and tokens as Compas does. That it does so is what
// test/compas shows, with the real one.
type compas struct {
	kit
	accessTTL, refreshTTL time.Duration
}

func setupCompas(t *testing.T, change ...func(*sessionstore.Config)) compas {
	t.Helper()
	cfg := config()
	cfg.CompasSigningKey = compasKey
	for _, change := range change {
		change(&cfg)
	}
	return compas{kit: setupWith(t, cfg), accessTTL: 10 * time.Minute, refreshTTL: 48 * time.Hour}
}

// compasPair is what a client holds, and the rows that it names.
type compasPair struct {
	session, accessRow, refreshRow uuid.UUID
	access, refresh                tokens.Secret
}

func compasToken(claim string, row uuid.UUID, exp time.Time) tokens.Secret {
	return signCompas(fmt.Sprintf(`{"exp":%d,"%s":"%s"}`, exp.Unix(), claim, row), compasKey)
}

func signCompas(payload, key string) tokens.Secret {
	encode := base64.RawURLEncoding.EncodeToString
	message := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode([]byte(payload))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(message))
	return tokens.Secret(message + "." + encode(mac.Sum(nil)))
}

// signIn is sessionStoreCreate.
func (c compas) signIn(t *testing.T, data string) compasPair {
	t.Helper()
	session := uuid.New()
	c.exec(t, `INSERT INTO "sessionStore" ("id", "checksum", "data") VALUES ($1, 'd3ad10cc', $2)`, session, data)
	return c.issue(t, session)
}

// issue is sessionStoreCreateTokenPair.
func (c compas) issue(t *testing.T, session uuid.UUID) compasPair {
	t.Helper()
	p := compasPair{session: session, accessRow: uuid.New(), refreshRow: uuid.New()}
	now := time.Now()
	p.access = compasToken(accessClaim, p.accessRow, now.Add(c.accessTTL))
	p.refresh = compasToken(refreshClaim, p.refreshRow, now.Add(c.refreshTTL))
	c.exec(t, `INSERT INTO "sessionStoreToken" ("id", "session", "expiresAt", "createdAt") VALUES ($1, $2, $3, $4)`,
		p.refreshRow, session, now.Add(c.refreshTTL), now)
	c.exec(t, `INSERT INTO "sessionStoreToken" ("id", "session", "expiresAt", "refreshToken", "createdAt") VALUES ($1, $2, $3, $4, $5)`,
		p.accessRow, session, now.Add(c.accessTTL), p.refreshRow, now)
	return p
}

// rotate is sessionStoreRefreshTokens.
func (c compas) rotate(t *testing.T, p compasPair) compasPair {
	t.Helper()
	c.exec(t, `UPDATE "sessionStoreToken" SET "revokedAt" = now() WHERE "id" IN ($1, $2)`, p.accessRow, p.refreshRow)
	return c.issue(t, p.session)
}

// age makes all that Compas wrote of a session look older.
func (c compas) age(t *testing.T, session uuid.UUID, by time.Duration) {
	t.Helper()
	c.kit.age(t, session, by)
	c.exec(t, `UPDATE "sessionStoreToken" SET "createdAt" = "createdAt" - $2::interval,
		"expiresOn" = CASE WHEN "refreshToken" IS NULL THEN (LEAST("expiresAt", "revokedAt") AT TIME ZONE 'UTC')::date END
		WHERE "session" = $1 AND "accessExpiresAt" IS NULL`, session, by)
}

func (c compas) accepted(t *testing.T, access tokens.Secret) sessionstore.Session {
	t.Helper()
	session, _, err := c.Get(t.Context(), string(access))
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return session
}

func (c compas) rejected(t *testing.T, access tokens.Secret, want error) {
	t.Helper()
	if _, _, err := c.Get(t.Context(), string(access)); !isError(err, want) {
		t.Errorf("get: %v, want %v", err, want)
	}
}

func (c compas) refused(t *testing.T, refresh tokens.Secret, want error) {
	t.Helper()
	if _, err := c.RefreshTokens(t.Context(), string(refresh), sessionstore.Client{}); !isError(err, want) {
		t.Errorf("refresh: %v, want %v", err, want)
	}
}

// padded is a token of another spelling.
func padded(token tokens.Secret) tokens.Secret {
	return tokens.Secret(strings.TrimSpace(string(token)) + "=")
}
