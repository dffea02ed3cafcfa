package httpapi_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// stream is a reader of the feed's events.
type stream struct {
	answer *http.Response
	lines  *bufio.Reader
	sent   time.Time
	schema *openapi3.Schema
}

func runFeed(t *testing.T, change ...func(*httpapi.Config, *sessionstore.Config)) running {
	t.Helper()
	pool := testdb.Pool(t)
	return runOn(t, pool, append([]func(*httpapi.Config, *sessionstore.Config){withVerifier(t, pool)}, change...)...)
}

func openStream(t *testing.T, base string, options ...option) *stream {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/revocations", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range append([]option{bearer(serviceKey), header("Accept", "application/json;q=0.1, text/event-stream")}, options...) {
		o(request)
	}
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{sent: time.Now(), schema: doc.Components.Schemas["Revocations"].Value}
	transport := &http.Transport{DisableKeepAlives: true}
	if s.answer, err = transport.RoundTrip(request); err != nil { //nolint:bodyclose // the test's cleanup closes it
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.answer.Body.Close() })
	if s.answer.StatusCode != http.StatusOK || s.answer.Header.Get("Content-Type") != "text/event-stream" || s.answer.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", s.answer.StatusCode, s.answer.Header)
	}
	s.lines = bufio.NewReader(s.answer.Body)
	return s
}

// next reads an event, and validates it against openapi.yaml. It returns nil at
// the stream's end.
func (s *stream) next(t *testing.T) map[string]any {
	t.Helper()
	var id string
	var event map[string]any
	for {
		line, err := s.lines.ReadString('\n')
		if err == io.EOF && id == "" {
			return nil
		}
		if err != nil {
			t.Fatal(err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &event); err != nil {
				t.Fatal(err)
			}
		case "":
			if err := s.schema.VisitJSON(event); err != nil {
				t.Error(err)
			}
			if event["cursor"] != id {
				t.Errorf("the id %q is not the cursor: %v", id, event)
			}
			return event
		default:
			t.Errorf("line %q", line)
		}
	}
}

func TestRevocationStream(t *testing.T) {
	t.Parallel()
	r := runFeed(t)
	early, late := r.create(t, "ann"), r.create(t, "ann")
	r.internal(t, "DELETE", "/v1/sessions/"+early.id).want(t, 204)
	revoked := time.Now()

	s := openStream(t, r.internalURL)
	event := s.next(t)
	if event["reset"] != true {
		t.Errorf("it does not begin with the whole set: %v", event)
	}
	told := map[string]bool{}
	proof := func() time.Time {
		ms, _ := event["complete_ms"].(float64)
		return s.sent.Add(time.Duration(ms) * time.Millisecond)
	}
	until := func(session session, when time.Time) {
		for last := proof(); ; event = s.next(t) {
			for _, id := range sessionsIn(t, event) {
				told[id] = true
			}
			if p := proof(); p.Before(last) || p.After(time.Now()) {
				t.Fatalf("proofs go from %v to %v", last, p)
			}
			if told[session.id] {
				return
			}
			if proof().After(when) {
				t.Fatalf("it proves to be complete %v after the revocation, but it is not", proof().Sub(when))
			}
		}
	}
	until(early, revoked)
	cursor, _ := event["cursor"].(string)
	r.internal(t, "DELETE", "/v1/sessions/"+late.id).want(t, 204)
	until(late, time.Now())

	// From where it was, whatever the URL says.
	again := openStream(t, r.internalURL, header("Last-Event-ID", cursor), func(q *http.Request) { q.URL.RawQuery = "since=nobody.1.0.x" })
	event = again.next(t)
	wantSessions(t, event, late)
	if event["reset"] != nil {
		t.Errorf("a reset: %v", event)
	}
}

// It continues for longer than any other request may.
func TestRevocationStreamHasItsOwnLimits(t *testing.T) {
	t.Parallel()
	const timeout = time.Second
	r := runFeed(t, func(cfg *httpapi.Config, _ *sessionstore.Config) {
		cfg.ReadTimeout, cfg.RequestTimeout = timeout, timeout
	})
	s := openStream(t, r.internalURL)
	for complete := 0.0; complete < 2*float64(timeout.Milliseconds()); {
		event := s.next(t)
		if event == nil {
			t.Fatalf("it ended after %v", time.Since(s.sent))
		}
		complete = at[float64](t, event, "complete_ms")
	}
}

// It ends when its time limit is reached.
func TestRevocationStreamEnds(t *testing.T) {
	t.Parallel()
	r := runFeed(t)
	const lifetime = 500 * time.Millisecond
	r.server.SetStreamLimits(lifetime, patience)
	s := openStream(t, r.internalURL)
	for event := s.next(t); event != nil; {
		event = s.next(t)
	}
	if took := time.Since(s.sent); took < lifetime {
		t.Errorf("it ended after %v", took)
	}
}

// It does not hold up the end of the service.
func TestRevocationStreamEndsWithTheService(t *testing.T) {
	t.Parallel()
	r := runFeed(t)
	s := openStream(t, r.internalURL)
	s.next(t)
	r.stop()
	for event := s.next(t); event != nil; {
		event = s.next(t)
	}
	if err := <-r.stopped; err != nil { // which says so when it had to give a request up
		t.Errorf("Run returned %v", err)
	}
}

// A reader that reads too slowly is cut off, at no cost to others.
func TestRevocationStreamCutsOffASlowReader(t *testing.T) {
	t.Parallel()
	r := runFeed(t)
	r.server.SetStreamLimits(time.Hour, 300*time.Millisecond)
	// A set that does not fit into the buffers of a connection.
	if _, err := r.pool.Exec(t.Context(), `INSERT INTO "sessionStore" ("id", "checksum", "data", "revokedAt")
		SELECT gen_random_uuid(), '', '{}', now() FROM generate_series(1, 100000)`); err != nil {
		t.Fatal(err)
	}
	if _, err := r.pool.Exec(t.Context(), `DELETE FROM "sessionStoreEpoch"`); err != nil {
		t.Fatal(err)
	}
	connection := dial(t, r.internalURL)
	if tcp, ok := connection.(*net.TCPConn); ok {
		if err := tcp.SetReadBuffer(4 << 10); err != nil {
			t.Fatal(err)
		}
	}
	send(t, connection, "GET /v1/revocations HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nAuthorization: Bearer "+serviceKey+"\r\n\r\n")
	// Nothing else would end it in time.
	for deadline := time.Now().Add(patience); !strings.Contains(r.log.String(), `"route":"/v1/revocations"`); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it was not cut off")
		}
	}
}

func TestRevocationStreamHead(t *testing.T) {
	t.Parallel()
	f := setupFeed(t)
	answer := f.internal(t, "HEAD", "/v1/revocations", header("Accept", "text/event-stream")).want(t, 200)
	if answer.Header.Get("Content-Type") != "text/event-stream" || len(answer.body) > 0 {
		t.Errorf("%v %q", answer.Header, answer.body)
	}
}

// It ends with the service key that opened it: removed, with another secret, or without the
// right. A key alongside it changes nothing.
func TestRevocationStreamEndsWithItsKey(t *testing.T) {
	t.Parallel()
	const other = "another-key-of-another-backend-00001"
	for name, key := range map[string]httpapi.ServiceKey{
		"removed":           {Name: "other", Secret: other},
		"replaced":          {Name: "backend", Secret: other},
		"without the right": {Name: "backend", Secret: serviceKey, Rights: []httpapi.Right{httpapi.RightIntrospect}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runFeed(t)
			set := func(keys ...httpapi.ServiceKey) {
				if err := r.server.SetServiceKeys(keys); err != nil {
					t.Fatal(err)
				}
			}
			s := openStream(t, r.internalURL)
			set(httpapi.ServiceKey{Name: "backend", Secret: serviceKey}, httpapi.ServiceKey{Name: "other", Secret: other})
			for range 3 {
				if s.next(t) == nil {
					t.Fatal("it ended for another key")
				}
			}
			set(key)
			for event := s.next(t); event != nil; {
				event = s.next(t)
			}
			if took := time.Since(s.sent); took > time.Minute {
				t.Errorf("it ended after %v", took)
			}
		})
	}
}
