package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	secret   = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	patience = 60 * time.Second
)

func TestMain(m *testing.M) {
	if url := os.Getenv("EVENTS_DATABASE"); url != "" {
		replica(url, os.Getenv("EVENTS_ENDPOINT"))
	}
	os.Exit(testdb.Main(m))
}

// replica delivers events until it is killed.
func replica(database, endpoint string) {
	pool, err := pgxpool.New(context.Background(), database)
	if err == nil {
		var runner *events.Runner
		if runner, err = events.New(config(pool, endpointOf("receiver", endpoint))); err == nil {
			err = runner.Run(context.Background())
		}
	}
	panic(err)
}

func endpointOf(name, url string) events.Endpoint {
	return events.Endpoint{Name: name, URL: tokens.Secret(url), Secret: func() (tokens.Secret, error) { return secret, nil }}
}

func config(pool *pgxpool.Pool, endpoints ...events.Endpoint) events.Config {
	return events.Config{Pool: pool, Endpoints: endpoints, FirstClient: "app", Logger: slog.New(slog.DiscardHandler)}
}

// kit is a store of sessions, and the sender of its events.
type kit struct {
	*sessionstore.Store
	pool *pgxpool.Pool
	url  string
	keys *tokens.KeyRing
}

func setup(tb testing.TB) kit {
	tb.Helper()
	url := testdb.URL(tb)
	pool, err := pgxpool.New(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	keys := testkeys.Ring(tb)
	store, err := sessionstore.New(pool, keys, sessionstore.Config{
		Tokens:    tokens.Config{Issuer: "https://login.example.com", Audience: "api", ClientID: "app"},
		Lifetimes: sessionstore.Lifetimes{AccessToken: 5 * time.Minute, RefreshToken: time.Hour},
		Clients:   []sessionstore.OAuthClient{{ID: "agent"}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return kit{store, pool, url, keys}
}

// run runs a replica until the test ends, or stop is called. It returns once events are
// noted.
func (k kit) run(tb testing.TB, endpoints ...events.Endpoint) (stop func()) {
	tb.Helper()
	runner, err := events.New(config(k.pool, endpoints...))
	if err != nil {
		tb.Fatal(err)
	}
	return k.start(tb, runner)
}

func (k kit) start(tb testing.TB, runner *events.Runner) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := runner.Run(ctx); err != nil {
			tb.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	tb.Cleanup(stop)
	k.await(tb, `SELECT count(*) = 1 FROM "sessionStoreEvents"`)
	return stop
}

// await waits until the answer is true.
func (k kit) await(tb testing.TB, question string) {
	tb.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		var answer bool
		if err := k.pool.QueryRow(tb.Context(), question).Scan(&answer); err != nil {
			tb.Fatal(err)
		}
		if answer {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("timed out: %s", question)
		}
	}
}

func (k kit) create(t *testing.T, params sessionstore.CreateParams) uuid.UUID {
	t.Helper()
	session, _, err := k.Create(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return session.ID
}

func (k kit) end(t *testing.T, id uuid.UUID) {
	t.Helper()
	if err := k.Invalidate(t.Context(), id, sessionstore.Cause{Reason: sessionstore.ReasonBackend, By: "web"}); err != nil {
		t.Fatal(err)
	}
}

// told is an event as a receiver gets it.
type told struct {
	Type      events.Type    `json:"type"`
	Timestamp time.Time      `json:"timestamp"`
	Data      map[string]any `json:"data"`

	id string
}

func (e told) session() string { return fmt.Sprint(e.Data["session_id"]) }

// receiver takes events, and refuses those that are not signed.
type receiver struct {
	*httptest.Server
	t testing.TB
	// answer, if set, says what an event is answered.
	answer func(told) int

	mu   sync.Mutex
	seen map[string]bool
	got  []told
}

func newReceiver(tb testing.TB) *receiver {
	tb.Helper()
	r := &receiver{t: tb, seen: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	tb.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // its sender was killed
	}
	verifier, err := webhooks.NewWebhook(secret)
	if err == nil {
		err = verifier.Verify(body, request.Header)
	}
	event := told{id: request.Header.Get(webhooks.HeaderWebhookID)}
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	if err != nil || request.Header.Get("Content-Type") != "application/json" {
		r.t.Errorf("%s: %v", body, err)
	}
	if r.answer != nil {
		if status := r.answer(event); status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.seen[event.id] {
		r.seen[event.id] = true
		r.got = append(r.got, event)
	}
}

// all returns the events that were sent, each once.
func (r *receiver) all() []told {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]told(nil), r.got...)
}

// await waits until this many different events were sent.
func (r *receiver) await(n int) []told {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if got := r.all(); len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d of %d events were told", len(r.all()), n)
		}
	}
}
