package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// The metrics of the program, which require no key.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), configure(t, testdb.URL(t)))
	pair := s.CreateSession(testKey, `{"subject":"ada","data":{"note":"only-the-backend-may-read-this"}}`)
	s.Current(pair.AccessToken)

	var text string
	want := []string{
		`latchkey_build_info{go_version="go1.`, `version="` + builtVersion + `"} 1`,
		"latchkey_sessions_created_total{client=\"latchkey\"} 1\n",
		`latchkey_http_requests_total{listener="internal",method="POST",route="/v1/sessions",status="201"} 1`,
		`latchkey_pool_connections_max{pool="requests"} `,
		"latchkey_revocations_bound_seconds 1\n",
		"latchkey_cleanup_interval_seconds 86400\n",
		"latchkey_sessions_live_estimate ",
		`latchkey_signing_keys{state="signs"} 1`,
		"latchkey_signing_key_since_timestamp_seconds ",
		`latchkey_job_failures_total{kind="leak_webhook",last="true"} 0`,
		"go_goroutines ", "process_cpu_seconds_total ",
	}
	missing := func() string {
		_, text = s.Send(http.MethodGet, s.Internal+"/metrics", "", nil)
		for _, part := range want {
			if !strings.Contains(text, part) {
				return part
			}
		}
		return ""
	}
	s.Await("metrics", func() bool { return missing() == "" })
	for _, secret := range []string{pair.AccessToken[:20], pair.RefreshToken[:20], testKey, "only-the-backend", pair.Session.ID} {
		if strings.Contains(text, secret) {
			t.Errorf("/metrics has %q:\n%s", secret, text)
		}
	}
	if code, _ := s.Send(http.MethodGet, s.Public+"/metrics", "", nil); code != http.StatusNotFound {
		t.Errorf("the public listener answers /metrics with %d", code)
	}
}

// The program sends its spans where OpenTelemetry's variables say, the last ones at its end, and names the trace in its log.
func TestTraces(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var sent strings.Builder
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		_, _ = sent.Write(body)
	}))
	defer collector.Close()
	s := start(t, t.TempDir(), configure(t, testdb.URL(t)).With(env{
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
	}))
	pair := s.CreateSession(testKey, `{"data":{"note":"only-the-backend-may-read-this"}}`)
	if code := s.End(syscall.SIGTERM); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if !strings.Contains(s.Stderr.String(), `"trace_id":"`) {
		t.Errorf("the log does not name the trace: %s", s.Stderr)
	}
	collector.Close()
	mu.Lock()
	defer mu.Unlock()
	for _, part := range []string{"POST /v1/sessions", "session create", `INSERT INTO "sessionStore"`, "deployment.environment.name", builtVersion} {
		if !strings.Contains(sent.String(), part) {
			t.Errorf("no span has %q", part)
		}
	}
	for _, secret := range []string{pair.AccessToken[:20], pair.RefreshToken[:20], testKey, "only-the-backend"} {
		if strings.Contains(sent.String(), secret) {
			t.Errorf("a span has %q", secret)
		}
	}
}

// An unreachable collector delays nothing.
func TestTracesThatNobodyTakes(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), configure(t, testdb.URL(t)).With(env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + testservice.FreeAddress(t)}))
	s.CreateSession(testKey, `{"data":{}}`)
	if code := s.End(syscall.SIGTERM); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestTracesThatCannotBe(t *testing.T) {
	t.Parallel()
	for variable, want := range map[string]string{
		"OTEL_TRACES_EXPORTER=zipkin":           `api: OTEL_TRACES_EXPORTER is "zipkin"; it must be otlp or none`,
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/json": `api: OTEL_EXPORTER_OTLP_PROTOCOL is "http/json"; it must be http/protobuf or grpc`,
	} {
		name, value, _ := strings.Cut(variable, "=")
		settings := env{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", name: value}
		if r := line(settings); r.code != 2 || r.stderr != want+"\n" {
			t.Errorf("%s: exit code %d: %s", variable, r.code, r.stderr)
		}
	}
}
