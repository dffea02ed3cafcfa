package clients_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// verify returns the subject of a good access token.
type verify func(ctx context.Context, accessToken string) (subject string, err error)

func withGoOIDC(ctx context.Context, issuer, algorithm string) verify {
	keys := oidc.NewRemoteKeySet(ctx, issuer+"/.well-known/jwks.json")
	verifier := oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{algorithm}})
	return func(ctx context.Context, accessToken string) (string, error) {
		token, err := verifier.Verify(ctx, accessToken)
		if err != nil {
			return "", err
		}
		return token.Subject, nil
	}
}

// withDiscovery is go-oidc given only the issuer.
func withDiscovery(ctx context.Context, issuer, algorithm string) (verify, error) {
	provider, err := oidc.NewProvider(ctx, issuer)
	if err != nil {
		return nil, err
	}
	verifier := provider.Verifier(&oidc.Config{ClientID: audience, SupportedSigningAlgs: []string{algorithm}})
	return func(ctx context.Context, accessToken string) (string, error) {
		token, err := verifier.Verify(ctx, accessToken)
		if err != nil {
			return "", err
		}
		return token.Subject, nil
	}, nil
}

func withKeyfunc(ctx context.Context, issuer, algorithm string) (verify, error) {
	keys, err := keyfunc.NewDefaultCtx(ctx, []string{issuer + "/.well-known/jwks.json"})
	if err != nil {
		return nil, err
	}
	parser := jwt.NewParser(jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithValidMethods([]string{algorithm}), jwt.WithExpirationRequired())
	return func(ctx context.Context, accessToken string) (string, error) {
		var claims jwt.RegisteredClaims
		token, err := parser.ParseWithClaims(accessToken, &claims, keys.KeyfuncCtx(ctx))
		if err != nil {
			return "", err
		}
		if token.Header["typ"] != "at+jwt" { // RFC 9068 §4
			return "", errors.New("not an access token")
		}
		return claims.Subject, nil
	}, nil
}

// go-oidc and keyfunc verify access tokens, including those of a key that they have not seen yet, and those of the last
// key.
func TestKeySets(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	before := s.signInPair("ada")
	verifyKeyfunc, err := withKeyfunc(t.Context(), s.Public, oidc.ES256)
	if err != nil {
		t.Fatal(err)
	}
	verifyDiscovered, err := withDiscovery(t.Context(), s.Public, oidc.ES256)
	if err != nil {
		t.Fatal(err)
	}
	verifiers := map[string]verify{"go-oidc": withGoOIDC(t.Context(), s.Public, oidc.ES256), "go-oidc by discovery": verifyDiscovered, "keyfunc": verifyKeyfunc}
	check := func(when, token string) {
		t.Helper()
		for name, verify := range verifiers {
			if subject, err := verify(t.Context(), token); subject != "ada" || err != nil {
				t.Errorf("%s, %s: the subject is %q (%v)", name, when, subject, err)
			}
		}
	}
	check("at first", before.AccessToken)

	s.rotateKeys()
	var after testservice.Pair
	testservice.Await(t, "a token of the new key", func() bool {
		after = s.signInPair("ada")
		return keyOf(t, before.AccessToken) != keyOf(t, after.AccessToken)
	})
	check("with the new key", after.AccessToken)
	check("with the last key", before.AccessToken)

	for name, verify := range verifiers {
		for what, token := range map[string]string{
			"a refresh token": after.RefreshToken, "a changed token": after.AccessToken[:len(after.AccessToken)-8] + "AAAAAAAA", "no token": "",
		} {
			if subject, err := verify(t.Context(), token); err == nil {
				t.Errorf("%s accepts %s, of %q", name, what, subject)
			}
		}
	}
}

// keyOf returns the kid in a token's header.
func keyOf(t *testing.T, token string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(parsed.Header["kid"])
}
