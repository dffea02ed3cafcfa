package tokens_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// RFC 8417 §4.6, RFC 8725 §3.11: a Security Event Token does not pass for another token,
// even if its audience is that of access tokens. It has the claims of CAEP's examples,
// and no others.
func TestSecurityEventIsNoToken(t *testing.T) {
	t.Parallel()
	for _, algorithm := range tokens.AlgorithmNames() {
		k := setup(t, algorithm)
		jwt, err := k.signer.SignSecurityEvent(tokens.SecurityEvent{
			ID: "24c63fb56e5a2d77a6b512616ca9fa24", IssuedAt: now, Audience: config().Audience, Transaction: "8675309",
			SubjectID: map[string]string{"format": "opaque", "id": "dMTlD|1600802906337.16|16008.16"},
			Type:      "https://schemas.openid.net/secevent/caep/event-type/session-revoked",
			Details:   map[string]int64{"event_timestamp": 1615304991},
		})
		if algorithm == "HS256" {
			if !errors.Is(err, tokens.ErrNotPublic) {
				t.Errorf("HS256: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"iss": config().Issuer, "jti": "24c63fb56e5a2d77a6b512616ca9fa24", "iat": float64(now.Unix()), "aud": config().Audience, "txn": "8675309",
			"sub_id": map[string]any{"format": "opaque", "id": "dMTlD|1600802906337.16|16008.16"},
			"events": map[string]any{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": map[string]any{"event_timestamp": 1615304991.}},
		}
		if diff := cmp.Diff(want, part(t, string(jwt), 1)); diff != "" {
			t.Errorf("%s: %s", algorithm, diff)
		}
		if header := part(t, string(jwt), 0); header["typ"] != "secevent+jwt" {
			t.Errorf("%s: %v", algorithm, header)
		}
		wantInvalid(t, k, algorithm, string(jwt))
	}
}
