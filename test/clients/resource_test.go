package clients_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
	"github.com/latchkey-sessions/latchkey/protectedresource"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// startResource serves /tools and /tools/ to holders of the service's access tokens, as resource servers that describe
// themselves (RFC 9728), and /pay to those who have authenticated lately (RFC 9470). /mcp is only for tokens of the client
// "agent", whose audience is its URL. RESOURCE, in the service's settings, is the server's.
func startResource(t *testing.T) *service {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	clients := filepath.Join(t.TempDir(), "clients.json")
	if err := os.WriteFile(clients, []byte(`[{"client_id":"agent","audiences":["`+server.URL+`/mcp"]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, testservice.Env{"LATCHKEY_CLIENTS_FILE": clients})
	s.settings["RESOURCE"] = server.URL
	ctx, stop := context.WithCancel(t.Context())
	audiences := map[string]string{"/tools": audience, "/tools/": audience, "/mcp": server.URL + "/mcp"}
	ended := make(chan error, len(audiences))
	for path, its := range audiences {
		metadata, err := protectedresource.New(protectedresource.Config{Resource: server.URL + path, Issuer: s.Public})
		if err != nil {
			t.Fatal(err)
		}
		v, err := verifier.NewRemote(verifier.RemoteConfig{
			Tokens:   tokens.Config{Issuer: s.Public, Audience: its},
			Internal: s.Internal, ServiceKey: testservice.Key,
		}, verifier.Config{Metadata: metadata})
		if err != nil {
			t.Fatal(err)
		}
		go func() { ended <- v.Run(ctx) }()
		mux.Handle(metadata.Path(), metadata)
		if path == "/tools" {
			stepUp, err := v.RequireAuthentication(tokens.Requirement{MaxAge: 5 * time.Minute, ACRValues: []string{"urn:example:gold", "urn:example:platinum"}})
			if err != nil {
				t.Fatal(err)
			}
			mux.Handle("POST /pay", v.Handler(stepUp(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))))
		}
		mux.Handle(path, v.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	}
	t.Cleanup(func() {
		stop()
		for range audiences {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return s
}
