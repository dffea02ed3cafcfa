package sessionhttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/protectedresource"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// RFC 9728 §5.1: every challenge says where the metadata is, even where an OnError of the
// program's own ends in the default one.
func TestChallengesNameTheMetadata(t *testing.T) {
	t.Parallel()
	m, err := protectedresource.New(protectedresource.Config{Resource: "https://mcp.example.com/tools", Issuer: "https://login.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	handler := setup(t, sessionhttp.Config{
		Metadata: m,
		OnError:  func(w http.ResponseWriter, r *http.Request, err error) { sessionhttp.Error(w, r, err) },
	}).manager.Handler(http.NotFoundHandler())
	const parameter = `resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/tools"`
	for token, want := range map[string][]string{
		"":         {"Bearer " + parameter, dpop.Challenge("", "") + ", " + parameter},
		"Bearer x": {`Bearer error="invalid_token", ` + parameter},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		if token != "" {
			r.Header.Set("Authorization", token)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if diff := cmp.Diff(want, w.Header().Values("WWW-Authenticate")); diff != "" || w.Code != 401 {
			t.Errorf("%q: %d: %s", token, w.Code, diff)
		}
	}
}
