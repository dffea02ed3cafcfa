package soak_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// compasKey signs the tokens of the Compas application whose sessions are taken over.
const compasKey = "a key of Compas, as its applications have"

// Compas makes two rows of a pair. That it makes them like this is what test/compas shows, with the real one.
const compasQuery = `
WITH made AS (
  INSERT INTO "sessionStore" ("id", "checksum", "data") VALUES ($1, 'd3ad10cc', '{}')
), refreshed AS (
  INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt") VALUES ($2, $1, now(), now() + $4::interval)
)
INSERT INTO "sessionStoreToken" ("id", "session", "createdAt", "expiresAt", "refreshToken") VALUES ($3, $1, now(), now() + $5::interval, $2)
RETURNING extract(epoch FROM now())::bigint`

// signInToCompas makes a session as Compas had it before the service took its tables over.
func (s *soak) signInToCompas() pair {
	s.t.Helper()
	const refreshTTL = 48 * time.Hour
	session, refresh, access := uuid.New(), uuid.New(), uuid.New()
	var now int64
	s.query(compasQuery, []any{session.String(), refresh.String(), access.String(), refreshTTL.String(), accessTokenTTL.String()}, &now)
	return pair{
		Access:  compasToken("compasSessionAccessToken", access, now+int64(accessTokenTTL/time.Second)),
		Refresh: compasToken("compasSessionRefreshToken", refresh, now+int64(refreshTTL/time.Second)),
		session: session.String(), since: time.Now(),
	}
}

func compasToken(claim string, row uuid.UUID, exp int64) string {
	encode := base64.RawURLEncoding.EncodeToString
	message := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(fmt.Appendf(nil, `{"exp":%d,%q:%q}`, exp, claim, row))
	mac := hmac.New(sha256.New, []byte(compasKey))
	mac.Write([]byte(message))
	return message + "." + encode(mac.Sum(nil))
}
