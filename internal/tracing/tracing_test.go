package tracing_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/internal/tracing"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	serviceKey = "a-service-key-that-only-tests-have-0003"
	secretData = "only-the-backend-may-read-this"
	issuer     = "https://auth.example.com"

	// callersTrace is a caller's, with the sampled flag.
	callersTrace       = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersTraceparent = "00-" + callersTrace + "-00f067aa0ba902b7-01"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// traced is a service whose spans stay here.
type traced struct {
	pool   *pgxpool.Pool
	traces *tracing.Tracing
	spans  *tracetest.InMemoryExporter
	server *httpapi.Server
	log    *strings.Builder
}

func setup(t *testing.T) *traced {
	t.Helper()
	s := &traced{spans: tracetest.NewInMemoryExporter(), log: &strings.Builder{}}
	provider := sdk.NewTracerProvider(sdk.WithSyncer(s.spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.WithoutCancel(t.Context())) })
	traces := tracing.New(provider)
	s.traces = traces
	log := slog.New(tracing.LogHandler(slog.NewTextHandler(s.log, nil)))

	poolConfig, err := pgxpool.ParseConfig(testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	poolConfig.ConnConfig.Tracer = traces.Database()
	if s.pool, err = pgxpool.NewWithConfig(t.Context(), poolConfig); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.pool.Close)
	keys := testkeys.Ring(t)
	store, err := sessionstore.New(s.pool, keys, sessionstore.Config{
		Tokens:    tokens.Config{Issuer: issuer, Audience: "latchkey"},
		Observers: []sessionstore.Observer{traces.Sessions()},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.server, err = httpapi.New(store, keys, httpapi.Config{
		Issuer: issuer, ServiceKeys: []httpapi.ServiceKey{{Name: "backend", Secret: serviceKey}}, Logger: log,
		Observers: []httpapi.Observer{traces.Requests()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// answer is what the tests look at in one.
type answer struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Session struct {
		ID       string `json:"id"`
		Checksum string `json:"checksum"`
	} `json:"session"`
}

// send sends a request with the headers, given as names and values in turn.
func (s *traced) send(t *testing.T, handler http.Handler, method, target, body string, headers ...string) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(target, "/oauth2/") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	var a answer
	if w.Code < http.StatusMultipleChoices && w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("%s %s: %d: %v in %s", method, target, w.Code, err, w.Body)
		}
	}
	return a
}

func (s *traced) internal(t *testing.T, method, target, body string, headers ...string) answer {
	t.Helper()
	return s.send(t, s.server.Internal(), method, target, body, append([]string{"Authorization", "Bearer " + serviceKey}, headers...)...)
}

func (s *traced) public(t *testing.T, method, target, body string, headers ...string) {
	t.Helper()
	s.send(t, s.server.Public(), method, target, body, headers...)
}

func (s *traced) create(t *testing.T) answer {
	t.Helper()
	a := s.internal(t, "POST", "/v1/sessions", `{"subject":"ada","data":{"note":"`+secretData+`"}}`)
	if a.Access == "" {
		t.Fatal("no session was created")
	}
	return a
}

func (s *traced) refresh(t *testing.T, token string) {
	t.Helper()
	s.public(t, "POST", "/oauth2/token", "grant_type=refresh_token&refresh_token="+token)
}

// tree lists the spans as a tree, each below its parent, and forgets them.
// Connections and the statements that are prepared on them depend on the pool.
func (s *traced) tree() []string {
	spans := s.spans.GetSpans()
	s.spans.Reset()
	depth := func(span tracetest.SpanStub) (n int) {
		for parent := span.Parent; parent.IsValid() && !parent.IsRemote(); n++ {
			next := trace.SpanContext{}
			for _, other := range spans {
				if other.SpanContext.SpanID() == parent.SpanID() {
					next = other.Parent
				}
			}
			parent = next
		}
		return n
	}
	var lines []string
	for _, span := range spans {
		if strings.Contains(span.Name, "acquire") || strings.Contains(span.Name, "connect") || strings.Contains(span.Name, "prepare") || isPrepare(span) {
			continue
		}
		lines = append(lines, strings.Repeat("  ", depth(span))+span.Name)
	}
	return lines
}

// isPrepare reports whether the span is about preparing a statement, which is named as the statement is.
func isPrepare(span tracetest.SpanStub) bool {
	for _, attribute := range span.Attributes {
		if attribute.Key == "pgx.prepare_stmt.name" {
			return true
		}
	}
	return false
}

func TestSpans(t *testing.T) {
	t.Parallel()
	s := setup(t)
	want := func(spans ...string) {
		t.Helper()
		if diff := cmp.Diff(spans, s.tree()); diff != "" {
			t.Errorf("spans, each after those below it (-want +got):\n%s", diff)
		}
	}
	a := s.create(t)
	want("    WITH", "  session create", "POST /v1/sessions")
	s.public(t, "GET", "/v1/me/sessions/current", "", "Authorization", "Bearer "+a.Access)
	want("    SELECT", "    UPDATE", "  session get", "GET /v1/me/sessions/current")
	s.refresh(t, a.Refresh)
	want("    UPDATE", "  session refresh", "POST /oauth2/token")
	s.internal(t, "PUT", "/v1/sessions/"+a.Session.ID+"/data", `{}`, "If-Match", `"`+a.Session.Checksum+`"`)
	want("    UPDATE", "  session update", "PUT /v1/sessions/{id}/data")
	s.internal(t, "DELETE", "/v1/sessions/"+a.Session.ID, "")
	want("      BEGIN", "      WITH", "      WITH", "      COMMIT", "    batch start", "  session revoke", "DELETE /v1/sessions/{id}")
	s.public(t, "GET", "/made-up", "")
	want("GET none")
	s.internal(t, "GET", "/readyz", "")
	want()
}

// A backend's trace continues in ours. A stranger's does not: strangers must not
// decide what is sampled.
func TestOnlyBackendsHandTheirTraceOn(t *testing.T) {
	t.Parallel()
	s := setup(t)
	traceOf := func() string {
		spans := s.spans.GetSpans()
		s.spans.Reset()
		if len(spans) == 0 {
			t.Fatal("there are no spans")
		}
		return spans[len(spans)-1].SpanContext.TraceID().String()
	}
	s.internal(t, "GET", "/v1/sessions?subject=ada", "", "traceparent", callersTraceparent)
	if got := traceOf(); got != callersTrace {
		t.Errorf("internal: the trace is %s, want the caller's", got)
	}
	s.public(t, "GET", "/v1/me/sessions", "", "traceparent", callersTraceparent)
	if got := traceOf(); got == callersTrace {
		t.Error("public: the trace is the caller's")
	}
}

// Nothing of a span may be a secret: not its name, its attributes, its events or
// its status, in whatever place of a request the secret was.
func TestSpansHaveNoSecret(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.create(t)
	s.refresh(t, a.Refresh)
	for _, token := range []string{a.Access, a.Refresh} {
		s.public(t, "GET", "/v1/me/sessions/current", "", "Authorization", "Bearer "+token)
		s.public(t, "GET", "/v1/me/sessions/current?access_token="+token, "", "User-Agent", token)
		s.public(t, "GET", "/"+token, "", "Authorization", token, "tracestate", "vendor="+token, "baggage", "token="+token)
		s.internal(t, "GET", "/"+token, "", "User-Agent", token, "baggage", "token="+token)
		s.public(t, token[:20], "/v1/me/sessions", "")
		s.public(t, "POST", "/oauth2/revoke", "token="+token)
		s.internal(t, "POST", "/oauth2/introspect", "token="+token)
	}
	s.internal(t, "GET", "/v1/sessions?subject="+secretData, "")
	s.internal(t, "PUT", "/v1/sessions/"+a.Session.ID+"/data", `{"note":"`+secretData+`"}`, "If-Match", `"`+a.Session.Checksum+`"`)
	// PostgreSQL quotes values that it refuses.
	for _, sql := range []string{`SELECT $1::text::inet`, `SELECT $1::text::jsonb`} {
		ctx := s.traces.Sessions().Begin(t.Context(), sessionstore.OperationUpdate)
		if err := s.pool.QueryRow(ctx, sql, secretData).Scan(new(any)); err == nil || !strings.Contains(err.Error()+fmt.Sprintf("%+v", err), "22P02") {
			t.Fatalf("%s: %v", sql, err)
		}
		batch := &pgx.Batch{}
		batch.Queue(sql, secretData)
		if err := s.pool.SendBatch(ctx, batch).Close(); err == nil {
			t.Fatalf("%s was not refused in a batch", sql)
		}
	}
	// Data that does not open.
	const ciphertext = "c2VhbGVkLXNlYWxlZA"
	if _, err := s.pool.Exec(t.Context(), `UPDATE "sessionStore" SET "data" = to_jsonb($1::text)`, "latchkey-sealed:123:"+ciphertext); err != nil {
		t.Fatal(err)
	}
	s.internal(t, "GET", "/v1/sessions/"+a.Session.ID, "")
	dump := fmt.Sprintf("%+v", s.spans.GetSpans())
	if !strings.Contains(dump, "session refresh") || !strings.Contains(dump, "sessionStoreToken") || !strings.Contains(dump, "22P02") {
		t.Fatalf("these are not the spans: %s", dump)
	}
	for _, secret := range []string{a.Access[:20], a.Refresh[:20], a.Access[len(a.Access)-20:], serviceKey, secretData, ciphertext} {
		if strings.Contains(dump, secret) {
			t.Errorf("a span has %q:\n%s", secret, dump)
		}
	}
}

func TestRefusalsAndFailures(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.create(t)
	s.refresh(t, a.Refresh)
	s.spans.Reset()
	s.refresh(t, "nonsense")
	for _, span := range s.spans.GetSpans() {
		if span.Status.Code == codes.Error {
			t.Errorf("%s: an invalid token is not a failure of ours", span.Name)
		}
	}
	s.spans.Reset()
	s.pool.Close()
	s.refresh(t, a.Refresh)
	failed := map[string]bool{}
	for _, span := range s.spans.GetSpans() {
		failed[span.Name] = span.Status.Code == codes.Error
	}
	if !failed["session refresh"] || !failed["POST /oauth2/token"] {
		t.Errorf("the database is away: %v", failed)
	}
}

// A client that hangs up is not a failure of ours, nor of the database.
func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	s := setup(t)
	a := s.create(t)
	s.spans.Reset()
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/oauth2/token", strings.NewReader("grant_type=refresh_token&refresh_token="+a.Refresh))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.server.Public().ServeHTTP(w, r)
	if w.Code != 499 {
		t.Errorf("the answer is %d", w.Code)
	}
	spans := s.spans.GetSpans()
	if len(spans) < 3 { // the request, the session's operation, the database
		t.Errorf("%d spans", len(spans))
	}
	for _, span := range spans {
		if span.Status.Code == codes.Error || len(span.Events) > 0 {
			t.Errorf("%s: %v, %v", span.Name, span.Status, span.Events)
		}
	}
}

func TestLogNamesTheTrace(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.internal(t, "GET", "/v1/sessions?subject=ada", "", "traceparent", callersTraceparent)
	if !strings.Contains(s.log.String(), "trace_id="+callersTrace) {
		t.Errorf("the log: %s", s.log)
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  map[string]string
		want bool
		err  string
	}{
		{env: nil},
		{env: map[string]string{"OTEL_SERVICE_NAME": "sessions"}},
		{env: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, want: true},
		{env: map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}},
		{env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, want: true},
		{env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, want: true},
		{env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": ""}},
		{env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}},
		{
			env:  map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
			want: true,
		},
		{
			env: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"},
			err: `OTEL_TRACES_EXPORTER is "zipkin"; it must be otlp or none`,
		},
		{
			env:  map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
			want: true,
			err:  `OTEL_EXPORTER_OTLP_PROTOCOL is "http/json"; it must be http/protobuf or grpc`,
		},
	} {
		got, err := tracing.Wanted(func(name string) (string, bool) {
			value, ok := tt.env[name]
			return value, ok
		})
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != tt.want || text != tt.err {
			t.Errorf("%v: %v, %q; want %v, %q", tt.env, got, text, tt.want, tt.err)
		}
	}
}

// Spans that are sent arrive in the form that a collector accepts, including the last ones before the end.
func TestSpansAreSent(t *testing.T) {
	arrived := make(chan string, 10)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- r.URL.Path + " " + string(body)
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	traces, err := tracing.Start(t.Context(), os.LookupEnv, "v1.2.3", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	sessions := traces.Sessions()
	ctx := sessions.Begin(t.Context(), sessionstore.OperationRefresh)
	sessions.End(ctx, sessionstore.Result{Operation: sessionstore.OperationRefresh, Outcome: sessionstore.Rotated})
	end, cancel := context.WithCancel(t.Context())
	cancel()
	if err := traces.Run(end); err != nil {
		t.Fatal(err)
	}
	got := <-arrived
	for _, part := range []string{"/v1/traces ", "session refresh", "rotated", "latchkey", "v1.2.3"} {
		if !strings.Contains(got, part) {
			t.Errorf("%q is not in what was sent: %q", part, got)
		}
	}
}
