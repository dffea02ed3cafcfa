package verifier_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/latchkey-sessions/latchkey/protectedresource"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// An MCP server behind tokens of Latchkey.
func Example_mcp() {
	const issuer, resource = "https://login.example.com", "https://mcp.example.com/mcp"
	metadata, err := protectedresource.New(protectedresource.Config{Resource: resource, Issuer: issuer})
	if err != nil {
		panic(err)
	}
	v, err := verifier.NewRemote(verifier.RemoteConfig{
		Tokens:     tokens.Config{Issuer: issuer, Audience: resource},
		Internal:   "http://latchkey.internal:8081",
		ServiceKey: "the service key",
	}, verifier.Config{Metadata: metadata})
	if err != nil {
		panic(err)
	}
	// A program also calls v.Run in a separate goroutine.
	mcp := http.NotFoundHandler() // your MCP server's handler
	mux := http.NewServeMux()
	mux.Handle(metadata.Path(), metadata)
	mux.Handle("/mcp", v.Handler(mcp))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/mcp", http.NoBody)) //nolint:noctx // an example
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 401 Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
}
