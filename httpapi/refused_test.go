package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// The log distinguishes a wrong configuration from wrong tokens: every refusal has one of a few reasons, the same
// wherever a token is presented.
func TestRefusalsHaveReasons(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ours := tokens.Config{Issuer: testIssuer, Audience: "latchkey"}
	verifier, err := tokens.NewVerifier(s.keys, ours)
	if err != nil {
		t.Fatal(err)
	}
	live, idle := s.create(t, "ann"), s.create(t, "bob")
	// A refresh token expires when the database says so, too.
	if _, err := s.pool.Exec(t.Context(), `UPDATE "sessionStoreToken" SET "expiresAt" = now() WHERE "session" = $1`, idle.id); err != nil {
		t.Fatal(err)
	}
	of := map[tokens.Type]string{tokens.AccessToken: live.access, tokens.RefreshToken: live.refresh}
	// again returns a token as someone else would have signed it.
	again := func(token string, typ tokens.Type, ring *tokens.KeyRing, cfg tokens.Config, change func(*tokens.Claims)) string {
		t.Helper()
		claims, err := verifier.Verify(token, typ)
		if err != nil {
			t.Fatal(err)
		}
		change(&claims)
		signer, err := tokens.NewSigner(ring, cfg)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		return string(signed)
	}
	same := func(*tokens.Claims) {}
	past := func(c *tokens.Claims) {
		c.IssuedAt, c.ExpiresAt = c.IssuedAt.Add(-2*time.Hour), c.IssuedAt.Add(-time.Hour)
	}
	for reason, token := range map[string]func(tokens.Type) string{
		"unknown_key": func(typ tokens.Type) string { return again(of[typ], typ, testkeys.Ring(t), ours, same) },
		"wrong_issuer": func(typ tokens.Type) string {
			return again(of[typ], typ, s.keys, tokens.Config{Issuer: "https://other.example.com", Audience: "latchkey"}, same)
		},
		"wrong_audience": func(typ tokens.Type) string {
			return again(of[typ], typ, s.keys, tokens.Config{Issuer: testIssuer, Audience: "other", TokenEndpoint: "https://other.example.com/oauth2/token"},
				func(c *tokens.Claims) { c.Audience = "" })
		},
		"expired": func(typ tokens.Type) string {
			if typ == tokens.RefreshToken {
				return again(idle.refresh, typ, s.keys, ours, past)
			}
			return again(of[typ], typ, s.keys, ours, past)
		},
		"not_found": func(typ tokens.Type) string {
			return again(of[typ], typ, s.keys, ours, func(c *tokens.Claims) { c.SessionID[0] ^= 1 })
		},
		"invalid":   func(tokens.Type) string { return "not.a.token" },
		"too_large": func(tokens.Type) string { return strings.Repeat("x", tokens.MaxTokenBytes+1) },
	} {
		got := map[string]any{}
		s.refresh(t, token(tokens.RefreshToken)).wantProblem(t, 400, "invalid_grant")
		got["refresh"] = s.log.last(t)["reason"]
		s.public(t, "GET", "/v1/me/sessions/current", bearer(token(tokens.AccessToken))).wantProblem(t, 401, "invalid_token")
		got["own session"] = s.log.last(t)["reason"]
		answer := s.internal(t, "POST", "/oauth2/introspect", form("token", token(tokens.AccessToken))).want(t, 200)
		if diff := cmp.Diff(map[string]any{"active": false}, answer.json(t)); diff != "" {
			t.Errorf("%s: introspection (-want +got):\n%s", reason, diff)
		}
		got["introspection"] = s.log.last(t)["reason"]
		if diff := cmp.Diff(map[string]any{"refresh": reason, "own session": reason, "introspection": reason}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", reason, diff)
		}
	}
}
