package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// What is out of bounds is refused with the member and the bounds.
func TestBoundsOfLifetimes(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) {
		cfg.Lifetimes.RefreshToken = 20 * time.Minute
		cfg.Bounds.Min.RefreshToken, cfg.Bounds.Max.RefreshToken = 15*time.Minute, 30*time.Minute
	})
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{},"refresh_token_ttl":1800}`)).want(t, 201)
	for _, ttl := range []string{"1801", "899", "0"} {
		answer := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{},"session_ttl":3600,"refresh_token_ttl":`+ttl+`}`))
		answer.wantProblem(t, 400, "invalid_member")
		if m := answer.json(t); m["pointer"] != "/refresh_token_ttl" || !strings.Contains(at[string](t, m, "detail"), "between 15m0s and 30m0s") {
			t.Errorf("%s: %v", ttl, m)
		}
	}
}
