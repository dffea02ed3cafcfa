package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/client"
)

const key = "0123456789abcdef0123456789abcdef"

// description is httpapi/openapi.yaml.
var description = sync.OnceValues(func() (*openapi3.T, error) {
	text, err := os.ReadFile("../httpapi/openapi.yaml")
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(text)
})

func describe(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := description()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// operations returns those of the internal listener.
func operations(t *testing.T) map[string]*openapi3.Operation {
	t.Helper()
	all := map[string]*openapi3.Operation{}
	for _, item := range describe(t).Paths.Map() {
		for _, operation := range item.Operations() {
			if slices.Contains(operation.Tags, "internal") {
				all[operation.OperationID] = operation
			}
		}
	}
	return all
}

var (
	id = uuid.MustParse("01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91")

	// calls has each operation with all that it takes.
	calls = map[string]func(context.Context, *client.Client) error{
		"createSession": func(ctx context.Context, c *client.Client) error {
			_, err := c.CreateSession(ctx, client.NewSession{
				Subject: "ada", Data: client.Data(`{"cart":[1]}`), Claims: client.Claims(`{"role":"editor"}`), AuthTime: 1781946764,
				ACR: "urn:example:gold", AMR: client.AMR{"pwd"}, Act: &client.Actor{Sub: "support-7", Act: &client.Actor{Sub: "bot"}},
				AccessTokenTTL: 60, RefreshTokenTTL: new(int64(0)), SessionTTL: 3600, RefreshToken: new(true), ClientID: "latchkey",
				Client:        client.NewDevice{Label: "Firefox", UserAgent: "Firefox/1", IP: "203.0.113.7"},
				KeyThumbprint: strings.Repeat("A", 43), Replaces: id.String(),
			})
			return err
		},
		"listSessions": func(ctx context.Context, c *client.Client) error {
			_, err := c.ListSessions(ctx, client.SessionFilter{
				Subject: "ada", Ended: true, Since: time.Unix(1781946764, 5), Address: "203.0.113.0/24", Label: "Firefox", Cursor: "x", Limit: 7,
			})
			return err
		},
		"endSessions": func(ctx context.Context, c *client.Client) error {
			_, err := c.EndSessions(ctx, "ada")
			return err
		},
		"getSession": func(ctx context.Context, c *client.Client) error {
			_, err := c.Session(ctx, id)
			return err
		},
		"patchSession": func(ctx context.Context, c *client.Client) error {
			_, err := c.PatchSession(ctx, id, client.SessionPatch{
				AccessTokenTTL: 60, RefreshTokenTTL: new(int64(0)), SessionTTL: 60, Client: client.DevicePatch{Label: new("")},
			})
			return err
		},
		"endSession": func(ctx context.Context, c *client.Client) error { return c.EndSession(ctx, id) },
		"getSessionHistory": func(ctx context.Context, c *client.Client) error {
			_, err := c.SessionHistory(ctx, id)
			return err
		},
		"putSessionData": func(ctx context.Context, c *client.Client) error {
			_, err := c.PutSessionData(ctx, id, "4f3c1dA8x0bE2mQz9uYt7w", client.Data(`{"cart":[]}`))
			return err
		},
		"getSessionClaims": func(ctx context.Context, c *client.Client) error {
			_, _, err := c.SessionClaims(ctx, id)
			return err
		},
		"putSessionClaims": func(ctx context.Context, c *client.Client) error {
			_, err := c.PutSessionClaims(ctx, id, "4f3c1dA8x0bE2mQz9uYt7w", client.Claims(`{}`), true)
			return err
		},
		"introspectToken": func(ctx context.Context, c *client.Client) error {
			_, err := c.IntrospectToken(ctx, client.IntrospectionRequest{
				Token: "a", Confirm: "false", Proof: "p", ProofMethod: "GET", ProofURL: "https://api.example.com/",
			})
			return err
		},
		"getRevocations": func(ctx context.Context, c *client.Client) error {
			_, err := c.Revocations(ctx, client.RevocationsQuery{Since: "c", Wait: 3 * time.Second, Shard: 7})
			return err
		},
		"revokeGlobally": func(ctx context.Context, c *client.Client) error {
			return c.RevokeGlobally(ctx, client.SubjectIdentifier{Format: client.SubjectIdentifierFormatOpaque, ID: "ada"})
		},
		"listDeadEvents": func(ctx context.Context, c *client.Client) error {
			_, err := c.ListDeadEvents(ctx, client.DeadEventFilter{Endpoint: "crm", Cursor: "7", Limit: 7})
			return err
		},
		"resendDeadEvents": func(ctx context.Context, c *client.Client) error {
			_, err := c.ResendDeadEvents(ctx, client.Resend{IDs: []int64{7}, Endpoint: "crm"})
			return err
		},
		"getIndex": func(ctx context.Context, c *client.Client) error {
			_, err := c.Index(ctx)
			return err
		},
		"getDescription": func(ctx context.Context, c *client.Client) error {
			_, err := c.Description(ctx)
			return err
		},
		"livez":  func(ctx context.Context, c *client.Client) error { return c.Livez(ctx) },
		"readyz": func(ctx context.Context, c *client.Client) error { return c.Readyz(ctx) },
		"metrics": func(ctx context.Context, c *client.Client) error {
			_, err := c.Metrics(ctx)
			return err
		},
	}

	// unsent are parameters and form fields of the description that the client does without.
	unsent = []string{
		"Last-Event-ID", // for an EventSource, and as good as since
		"token_type_hint", "client_id", "client_secret",
		"revokeGlobally subject", // what an earlier draft called sub_id
	}
)

// transport answers requests in place of a service.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answer is what a service would answer.
func answer(r *http.Request, status int, mediaType, body string, headers ...string) *http.Response {
	header := http.Header{"Content-Type": {mediaType}, "X-Request-Id": {"request-7"}}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

// with returns a client whose requests are answered by a function.
func with(t *testing.T, answer transport, options ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New("http://latchkey.internal", key, append(options, client.WithTransport(answer))...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// There is a method for each operation, and each sends what the description says.
func TestOperations(t *testing.T) {
	t.Parallel()
	described := operations(t)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(described)), slices.Sorted(maps.Keys(calls))); diff != "" {
		t.Fatalf("the operations of httpapi/openapi.yaml are others than those here: %s", diff)
	}
	router, err := legacy.NewRouter(describe(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, operation := range described {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method := strings.TrimPrefix(name, "get")
			method = strings.ToUpper(method[:1]) + method[1:]
			if _, ok := reflect.TypeFor[*client.Client]().MethodByName(method); !ok {
				t.Errorf("there is no method %s", method)
			}
			sent := 0
			c := with(t, func(r *http.Request) (*http.Response, error) {
				sent++
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				checkRequest(t, router, operation, r, string(body))
				return answer(r, http.StatusOK, "application/json", `{"active":false,"access_token":"a"}`), nil // without which two of them are none
			})
			if err := calls[name](t.Context(), c); err != nil {
				t.Error(err)
			}
			if sent != 1 {
				t.Errorf("sent %d requests", sent)
			}
		})
	}
}

// checkRequest validates a request against an operation.
func checkRequest(t *testing.T, router routers.Router, operation *openapi3.Operation, r *http.Request, body string) {
	t.Helper()
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(strings.NewReader(body))
	again.URL = &url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	route, path, err := router.FindRoute(again)
	if err != nil || route.Operation.OperationID != operation.OperationID {
		t.Errorf("%s %s is not of this operation: %v", r.Method, r.URL.Path, err)
		return
	}
	authorization := r.Header.Get("Authorization")
	if needed := len(*operation.Security) > 0; needed != (authorization == "Bearer "+key) || !needed && authorization != "" {
		t.Errorf("Authorization is %q", authorization)
	}
	if err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: again, PathParams: path, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
	}); err != nil {
		t.Errorf("%s %s: the description refuses it: %v", r.Method, r.URL, err)
	}
	for _, parameter := range operation.Parameters {
		p := parameter.Value
		is := map[string]bool{"query": r.URL.Query().Has(p.Name), "header": r.Header.Get(p.Name) != "", "path": path[p.Name] != ""}
		if !is[p.In] && !slices.Contains(unsent, p.Name) {
			t.Errorf("the %s parameter %s is not sent", p.In, p.Name)
		}
	}
	for name := range r.URL.Query() {
		if operation.Parameters.GetByInAndName("query", name) == nil {
			t.Errorf("the description has no query parameter %s", name)
		}
	}
	if operation.RequestBody != nil {
		checkMembers(t, operation, r.Header.Get("Content-Type"), body)
	}
}

// checkMembers validates the body against the description's members.
func checkMembers(t *testing.T, operation *openapi3.Operation, mediaType, body string) {
	t.Helper()
	content := operation.RequestBody.Value.Content[mediaType]
	if content == nil {
		t.Errorf("the body is %s", mediaType)
		return
	}
	sent := map[string]bool{}
	if form, err := url.ParseQuery(body); err == nil && mediaType != "application/json" {
		for name := range form {
			sent[name] = true
		}
	} else {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Error(err)
		}
		for name := range members {
			sent[name] = true
		}
	}
	for name := range content.Schema.Value.Properties {
		if !sent[name] && !slices.Contains(unsent, name) && !slices.Contains(unsent, operation.OperationID+" "+name) {
			t.Errorf("%s is not sent", name)
		}
	}
}

// errOf is what a test of errors looks at.
func errOf(t *testing.T, err error) *client.Error {
	t.Helper()
	e, ok := errors.AsType[*client.Error](err)
	if !ok {
		t.Fatalf("not an *Error: %v", err)
	}
	return e
}
