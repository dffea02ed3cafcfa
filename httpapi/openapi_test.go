package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
)

// contract is openapi.yaml, made to refuse members that it does not name.
var contract = sync.OnceValues(func() (routers.Router, error) {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	for _, schema := range doc.Components.Schemas {
		if s := schema.Value; len(s.Properties) > 0 && s.AdditionalProperties.Has == nil {
			s.AdditionalProperties.Has = new(bool)
		}
	}
	return legacy.NewRouter(doc)
})

// validate validates a request and its answer against openapi.yaml. A request
// that the document refuses must not have been served.
func validate(t *testing.T, r *http.Request, sent []byte, answer response) {
	t.Helper()
	if r.Method == http.MethodOptions || r.Method == http.MethodHead {
		return // preflights and heads are not in the document
	}
	router, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(sent))
	again.URL = &url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}
	if strings.HasPrefix(r.URL.Path, "/v1/check/") || r.URL.Path == "/v1/check" {
		// It says that what is below is the same, in any method.
		again.Method, again.URL.Path = http.MethodGet, "/v1/check"
	}
	route, pathParams, err := router.FindRoute(again)
	if err != nil {
		if answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s %s was answered with %d, but openapi.yaml does not have it", r.Method, r.URL.Path, answer.StatusCode)
		}
		return
	}
	if answer.StatusCode == http.StatusNotFound && route.Operation.Responses.Status(http.StatusNotFound) == nil ||
		bytes.Contains(answer.body, []byte("route_not_found")) {
		return // the other listener's
	}
	input := &openapi3filter.RequestValidationInput{
		Request: again, PathParams: pathParams, Route: route,
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true,
			AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
				scheme, _, _ := strings.Cut(in.RequestValidationInput.Request.Header.Get("Authorization"), " ")
				if !strings.EqualFold(scheme, in.SecurityScheme.Scheme) {
					return errors.New("no credential")
				}
				return nil
			},
		},
	}
	if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil && answer.StatusCode < 400 {
		t.Errorf("%s %s was served, but openapi.yaml refuses it: %v", r.Method, r.URL, err)
	}
	if err := openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: answer.StatusCode, Header: answer.Header,
		Body: io.NopCloser(bytes.NewReader(answer.body)), Options: input.Options,
	}); err != nil {
		t.Errorf("the answer to %s %s is not as in openapi.yaml: %v", r.Method, r.URL, err)
	}
}

// described returns the document that a listener serves, and its operations.
func described(t *testing.T, answer response) (*openapi3.T, []string) {
	t.Helper()
	answer.want(t, 200)
	doc, err := openapi3.NewLoader().LoadFromData(answer.body)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Fatal(err)
	}
	var operations []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			operations = append(operations, method+" "+path)
		}
	}
	slices.Sort(operations)
	return doc, operations
}

func routed(t *testing.T, handler http.Handler) []string {
	t.Helper()
	mux, ok := handler.(chi.Routes)
	if !ok {
		t.Fatalf("%T has no routes", handler)
	}
	var routes []string
	if err := chi.Walk(mux, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		routes = append(routes, method+" "+route)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(routes)
	return routes
}

// shared routes are on both listeners. They reveal nothing about sessions.
var shared = []string{"GET /", "GET /livez", "GET /openapi.yaml"}

func TestEachListenerServesWhatItDescribes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	_, public := described(t, s.public(t, "GET", "/openapi.yaml"))
	_, internal := described(t, s.internal(t, "GET", "/openapi.yaml"))
	if diff := cmp.Diff(public, routed(t, s.server.Public())); diff != "" {
		t.Errorf("public: described (-) and routed (+) differ:\n%s", diff)
	}
	if diff := cmp.Diff(internal, routed(t, s.server.Internal())); diff != "" {
		t.Errorf("internal: described (-) and routed (+) differ:\n%s", diff)
	}
	// Security 17: neither serves a route of the other.
	for _, route := range public {
		if slices.Contains(internal, route) && !slices.Contains(shared, route) {
			t.Errorf("both listeners have %s", route)
		}
	}
}

func TestHalvesHaveNothingOfTheOther(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for tag, answer := range map[string]response{
		"public": s.public(t, "GET", "/openapi.yaml"), "internal": s.internal(t, "GET", "/openapi.yaml"),
	} {
		doc, _ := described(t, answer)
		if len(doc.Tags) != 1 || doc.Tags[0].Name != tag {
			t.Errorf("%s: tags %v", tag, doc.Tags)
		}
		for kind, names := range map[string][]string{
			"schemas": sortedKeys(doc.Components.Schemas), "responses": sortedKeys(doc.Components.Responses),
			"headers": sortedKeys(doc.Components.Headers), "parameters": sortedKeys(doc.Components.Parameters),
		} {
			for _, name := range names {
				if !regexp.MustCompile("#/components/" + kind + "/" + name + `\b`).Match(answer.body) {
					t.Errorf("%s: nothing uses %s/%s", tag, kind, name)
				}
			}
		}
		want := map[string][]string{"public": {"accessToken", "boundAccessToken"}, "internal": {"serviceKey", "serviceKeyBasic"}}[tag]
		if diff := cmp.Diff(want, sortedKeys(doc.Components.SecuritySchemes)); diff != "" {
			t.Errorf("%s: security schemes: %s", tag, diff)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Security 17: a listener answers the other's routes as if they did not exist,
// whatever is presented.
func TestListenersDoNotServeEachOthersRoutes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	at := strings.NewReplacer("{id}", session.id)
	for _, route := range routed(t, s.server.Internal()) {
		method, path, _ := strings.Cut(at.Replace(route), " ")
		if slices.Contains(shared, route) {
			continue
		}
		for _, credential := range []string{serviceKey, session.access} {
			answer := s.public(t, method, path, bearer(credential), form("token", session.access))
			code := "route_not_found"
			if strings.HasPrefix(path, "/oauth2/") {
				code = "invalid_request"
			}
			answer.wantProblem(t, 404, code)
		}
	}
	for _, route := range routed(t, s.server.Public()) {
		method, path, _ := strings.Cut(at.Replace(route), " ")
		if slices.Contains(shared, route) {
			continue
		}
		answer := s.internal(t, method, path, form("token", session.access))
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("the internal listener answers %s with %d", route, answer.StatusCode)
		}
	}
	if !s.accepted(t, session.access) {
		t.Error("one of the requests had an effect")
	}
}

// The comment above the document is about the whole file, which is not served to
// anyone.
func TestServedHalfStartsWithTheDocument(t *testing.T) {
	t.Parallel()
	s := setup(t)
	if body := s.public(t, "GET", "/openapi.yaml").want(t, 200).body; !strings.HasPrefix(string(body), "openapi: 3") {
		t.Errorf("it starts with %.60q", body)
	}
}
