package httpapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/google/uuid"
)

var (
	generatedSeed   = flag.Uint64("generated.seed", 1, "what the generated requests are made from")
	generatedRounds = flag.Int("generated.rounds", 1, "how often each generated request is made anew")
)

// Security, hostile input: for each operation that a listener describes, requests
// that conform to the description, and requests with one part broken, go
// to the running service. Valid ones are served, broken ones are refused, and
// every answer conforms to the description: its status, headers, media type
// and body. No answer is 5xx. More of them, and others:
//
//	go test ./httpapi -run TestGeneratedRequests -generated.rounds=50 -generated.seed=$RANDOM
func TestGeneratedRequests(t *testing.T) {
	t.Parallel()
	f := setupFeed(t)
	for _, listener := range []struct {
		name    string
		handler http.Handler
	}{{"public", f.server.Public()}, {"internal", f.server.Internal()}} {
		server := httptest.NewServer(listener.handler)
		t.Cleanup(server.Close)
		document, _ := described(t, f.do(t, listener.handler, "GET", "/openapi.yaml"))
		for _, schema := range document.Components.Schemas {
			if s := schema.Value; len(s.Properties) > 0 && s.AdditionalProperties.Has == nil {
				s.AdditionalProperties.Has = new(bool)
			}
		}
		router, err := legacy.NewRouter(document)
		if err != nil {
			t.Fatal(err)
		}
		for template, item := range document.Paths.Map() {
			for method, operation := range item.Operations() {
				t.Run(listener.name+"/"+operation.OperationID, func(t *testing.T) {
					t.Parallel()
					(&attack{service: f.service, url: server.URL, router: router, method: method, template: template, operation: operation}).run(t)
				})
			}
		}
	}
}

// attack is on one operation.
type attack struct {
	*service
	url              string
	router           routers.Router
	method, template string
	operation        *openapi3.Operation

	gen     generator
	current session // what the next request is about
	page    string  // a cursor of its subject's sessions
	alone   bool    // whether the next creation is of an access token alone
}

func (a *attack) run(t *testing.T) {
	t.Helper()
	// Each operation has its own numbers, whatever is done to the others at the same time.
	digest := sha256.Sum256([]byte(a.operation.OperationID))
	a.gen = generator{rand.New(rand.NewPCG(*generatedSeed, binary.BigEndian.Uint64(digest[:]))), a.known}
	a.renew(t)
	requests := 0
	for range *generatedRounds {
		for range 3 {
			c := a.valid()
			if answer := a.try(t, "valid", c); answer.StatusCode >= 300 {
				t.Errorf("a valid request is refused: %s %s %q: %d %s", c.method, c.target(), c.text(), answer.StatusCode, answer.body)
			}
			requests++
		}
		for _, b := range breakages(a.operation, a.valid()) {
			c := a.valid().clone()
			b.apply(&c)
			if answer := a.try(t, b.name, c); !b.served && answer.StatusCode < 400 {
				t.Errorf("%s: %s %.300s is served with %d: %.300q", b.name, c.method, c.target(), answer.StatusCode, c.text())
			}
			requests++
		}
	}
	if requests < 30 {
		t.Errorf("only %d requests were made", requests)
	}
	t.Logf("%d requests", requests)
}

func (a *attack) valid() call {
	a.alone = a.gen.rand.IntN(2) == 0
	c := a.gen.call(a.method, a.template, a.operation)
	if security := a.operation.Security; security != nil && len(*security) > 0 {
		c.credential = "Bearer " + serviceKey
		if _, own := (*security)[0]["accessToken"]; own {
			c.credential = "Bearer " + a.current.access
		}
	}
	return c
}

// renew makes a session that is alive, alongside others of its subject.
func (a *attack) renew(t *testing.T) {
	t.Helper()
	subject := "user-" + strconv.FormatUint(a.gen.rand.Uint64(), 36)
	a.create(t, subject)
	a.current = a.create(t, subject)
	page := a.internal(t, "GET", "/v1/sessions?limit=1&subject="+subject).want(t, 200).json(t)
	a.page = at[string](t, page, "next_cursor")
	a.gen.known = func(name string) any {
		if name == "subject" && a.operation.RequestBody == nil {
			return subject
		}
		if name == "sub_id" || name == "subject" && a.operation.OperationID == "revokeGlobally" {
			return object{{"format", "opaque"}, {"id", subject}}
		}
		return a.known(name)
	}
}

// known are the values that the description cannot express.
func (a *attack) known(name string) any {
	switch name {
	case "refresh_token":
		if a.template == "/v1/sessions" {
			return !a.alone
		}
		return a.current.refresh
	case "token":
		return a.current.access
	case "client_id":
		return "latchkey"
	case "id":
		return a.current.id
	case "replaces":
		return []string{a.current.id, a.current.access, a.current.refresh}[a.gen.rand.IntN(3)]
	case "If-Match":
		if a.operation.OperationID == "putSessionClaims" {
			none := sha256.Sum256([]byte("{}"))
			return `"` + base64.RawURLEncoding.EncodeToString(none[:]) + `"`
		}
		return `"` + a.current.checksum + `"`
	case "Idempotency-Key":
		return `"` + uuid.NewString() + `"`
	case "cursor":
		if a.operation.OperationID == "listDeadEvents" {
			return "1000"
		}
		return a.page
	case "ended":
		return "false" // lists of what has ended have other cursors
	case "since", "Last-Event-ID":
		if a.operation.OperationID == "listSessions" {
			return absent{} // it goes with ended
		}
		return "nobody.1.0.nothing"
	case "DPoP", "dpop", "dpop_htm", "dpop_htu":
		return absent{} // the session is not bound: a proof would bind it
	case "dpop_jkt":
		return base64.RawURLEncoding.EncodeToString(sha256.New().Sum(nil))
	case "shard":
		return absent{} // there is one
	case "wait":
		return int64(0)
	case "endpoint":
		return "crm"
	case "ids":
		return []int64{1, 1000}
	case "ip", "address":
		return netip.AddrFrom4([4]byte{192, 0, 2, byte(a.gen.rand.IntN(256))}).String()
	case "auth_time":
		return a.gen.rand.Int64N(time.Now().Unix())
	case "acr":
		return "urn:example:gold"
	case "amr":
		return []string{"pwd", "otp"}
	case "act":
		return object{{"sub", a.gen.words(1, 40)}, {"act", object{{"sub", "support-7"}, {"iss", "https://staff.example.com"}}}}
	case "scope":
		return "openid offline_access" // what any session may be asked for
	case "access_token_ttl":
		return 60 + a.gen.rand.Int64N(600)
	case "resource":
		return "latchkey"
	case "refresh_token_ttl":
		if a.alone && a.template == "/v1/sessions" {
			return absent{}
		}
		return 1000 + a.gen.rand.Int64N(100_000)
	case "session_ttl":
		return 200_000 + a.gen.rand.Int64N(100_000)
	}
	return nil
}

// try sends a request and holds its answer against the description. A request that could not be sent gets the status 0.
func (a *attack) try(t *testing.T, name string, c call) response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), c.method, a.url+c.target(), strings.NewReader(c.text()))
	if err != nil { // such as a path that is not a URL: then byte for byte
		r, err = http.NewRequestWithContext(t.Context(), c.method, a.url, strings.NewReader(c.text()))
		if err != nil {
			t.Fatal(err)
		}
		path, query, _ := strings.Cut(c.target(), "?")
		r.URL.Opaque, r.URL.RawQuery = path, query
	}
	r.Header = c.header.Clone()
	if r.Header.Get("Content-Type") == "" && c.mediaType != "" {
		r.Header.Set("Content-Type", c.mediaType)
	}
	if c.credential != "" {
		r.Header.Set("Authorization", c.credential)
	}
	got, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s: %s %.300s: %v", name, c.method, c.target(), err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	a.noteSecrets(body)
	answer := response{got, body}
	if err := a.asDescribed(t.Context(), c, answer); err != nil {
		t.Errorf("%s: %s %.300s %.300q: %d %.500s %v: %v", name, c.method, c.target(), c.text(), got.StatusCode, body, got.Header, err)
	}
	if got.StatusCode < 300 && c.method != http.MethodGet && c.method != http.MethodHead {
		a.renew(t)
	}
	return answer
}

var errUndescribed = errors.New("no such answer is described")

func (a *attack) asDescribed(ctx context.Context, c call, answer response) error {
	if answer.StatusCode >= 500 {
		return errors.New("a fault of the service")
	}
	mediaType := answer.Header.Get("Content-Type")
	switch {
	case mediaType == "text/plain; charset=utf-8" && answer.StatusCode == http.StatusBadRequest, answer.StatusCode == http.StatusExpectationFailed:
		return nil // net/http's own, before anything of ours: that was not HTTP, or an expectation that no server meets
	case c.method == http.MethodHead && len(answer.body) > 0:
		return errors.New("an answer to HEAD has a body")
	case c.method == http.MethodHead || c.method == http.MethodOptions:
		return nil
	}
	again, err := http.NewRequestWithContext(ctx, c.method, "/", http.NoBody)
	if err != nil {
		return err
	}
	path, query, _ := strings.Cut(c.target(), "?")
	again.URL = &url.URL{Path: path, RawQuery: query}
	route, params, err := a.router.FindRoute(again)
	undescribed := err != nil
	if missing := bytes.Contains(answer.body, []byte("There is no such route")); undescribed || missing ||
		answer.StatusCode == http.StatusMethodNotAllowed {
		// Not covered by any description: another method, or another operation's path.
		switch {
		case answer.StatusCode == http.StatusMethodNotAllowed && answer.Header.Get("Allow") == "":
			return errors.New("405 without Allow")
		case answer.StatusCode == http.StatusMethodNotAllowed || answer.StatusCode == http.StatusNotFound,
			answer.StatusCode == http.StatusNotModified:
			return nil
		case undescribed && c.method == a.method: // an escaped path, which the router of the test reads otherwise
			return a.hold(ctx, again, nil, a.operation, answer)
		}
		return errUndescribed
	}
	return a.hold(ctx, again, params, route.Operation, answer)
}

// hold looks at the answer as one of the operation's.
func (a *attack) hold(ctx context.Context, r *http.Request, params map[string]string, operation *openapi3.Operation, answer response) error {
	options := &openapi3filter.Options{IncludeResponseStatus: true}
	return openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, Route: &routers.Route{Operation: operation, Method: r.Method}, Options: options,
		},
		Status: answer.StatusCode, Header: answer.Header, Body: io.NopCloser(bytes.NewReader(answer.body)), Options: options,
	})
}
