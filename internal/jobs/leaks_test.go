package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/webhook"
	"github.com/latchkey-sessions/latchkey/migrations"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	// maxAge is what receivers allow a delivery by the specification.
	maxAge = 5 * time.Minute
)

// receiver is an operator's webhook: it checks signatures as the specification says.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	events []map[string]any
	ids    []string
	fail   int // this many requests get an error first
}

func newReceiver(t *testing.T, fail int) *receiver {
	t.Helper()
	return newReceiverBy(t, 0, fail)
}

// newReceiverBy returns one whose clock is the given time ahead of the test's.
func newReceiverBy(t *testing.T, ahead time.Duration, fail int) *receiver {
	t.Helper()
	checker, err := webhooks.NewWebhook(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{fail: fail}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		if err := checker.VerifyIgnoringTimestamp(body, q.Header); err != nil {
			t.Errorf("the signature: %v", err)
		}
		sent, err := strconv.ParseInt(q.Header.Get("webhook-timestamp"), 10, 64)
		if off := time.Since(time.Unix(sent, 0)) + ahead; err != nil || off.Abs() > maxAge {
			t.Errorf("a delivery is %v old by the database's clock: %v", off, err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.ids = append(r.ids, q.Header.Get("webhook-id"))
		if r.fail > 0 {
			r.fail--
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		var event map[string]any
		if err := json.Unmarshal(body, &event); err != nil {
			t.Error(err)
		}
		r.events = append(r.events, event)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) received() (events []map[string]any, ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events, r.ids
}

func report() sessionstore.LeakReport {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return sessionstore.LeakReport{
		ID: uuid.New(), SessionID: uuid.New(), Subject: "ann", Theft: sessionstore.Stale, Behind: 1,
		DetectedAt: at, PresentedIssuedAt: at.Add(-2 * time.Minute), RotatedAt: at.Add(-time.Minute), IssuedAt: at.Add(-time.Minute),
		SessionCreatedAt: at.Add(-time.Hour),
		PresentedBy:      sessionstore.Client{UserAgent: "curl/8", IP: "198.51.100.9"},
		CreatedBy:        sessionstore.Client{Label: "Ann's phone", UserAgent: "App/4", IP: "192.0.2.1"},
	}
}

// leakKit runs queues on one database.
type leakKit struct {
	t    *testing.T
	pool *pgxpool.Pool
	log  *syncBuffer
}

func setupLeaks(t *testing.T) leakKit {
	t.Helper()
	return leakKit{t, testdb.Pool(t), &syncBuffer{}}
}

func (k leakKit) runner(webhook string) *jobs.Runner {
	k.t.Helper()
	return k.runnerBy(jobs.Hurried, webhook)
}

// runnerBy is runner with other times.
func (k leakKit) runnerBy(times func(jobs.Config) jobs.Config, webhook string) *jobs.Runner {
	k.t.Helper()
	cfg := jobs.Config{Pool: k.pool, Sessions: newSessions(), Logger: slog.New(slog.NewJSONHandler(k.log, nil))}
	if webhook != "" {
		cfg.LeakWebhook = jobs.Webhook{URL: webhook, Secret: webhookSecret}
	}
	runner, err := jobs.New(times(cfg))
	if err != nil {
		k.t.Fatal(err)
	}
	return runner
}

// run runs the queue until the function it returns is called.
func (k leakKit) run(runner *jobs.Runner) (stop func()) {
	ctx, cancel := context.WithCancel(k.t.Context())
	done := make(chan error, 1)
	go func() { done <- runner.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			k.t.Error(err)
		}
	}
}

func (k leakKit) await(what string, done func() bool) {
	k.t.Helper()
	for start := time.Now(); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Since(start) > patience {
			k.t.Fatalf("timed out waiting for %s; the log is\n%s", what, k.log)
		}
	}
}

func (k leakKit) enqueue(runner *jobs.Runner, r sessionstore.LeakReport) {
	k.t.Helper()
	if err := pgx.BeginFunc(k.t.Context(), k.pool, func(tx pgx.Tx) error { return runner.Enqueue(k.t.Context(), tx, r) }); err != nil {
		k.t.Fatal(err)
	}
}

func (k leakKit) logged(id uuid.UUID) int {
	n := 0
	for line := range strings.Lines(k.log.String()) {
		if strings.Contains(line, "a refresh token was stolen") && strings.Contains(line, id.String()) {
			n++
		}
	}
	return n
}

func TestReportIsLoggedAndDelivered(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	hook := newReceiver(t, 0)
	runner := k.runner(hook.URL)
	defer k.run(runner)()
	want := report()
	k.enqueue(runner, want)
	k.await("the delivery", func() bool { events, _ := hook.received(); return len(events) == 1 && k.logged(want.ID) == 1 })

	events, ids := hook.received()
	if ids[0] != want.ID.String() || events[0]["type"] != "session.leaked" || events[0]["timestamp"] != "2026-03-01T12:00:00Z" {
		t.Errorf("event %v, id %s", events[0], ids[0])
	}
	data, err := json.Marshal(events[0]["data"])
	if err != nil {
		t.Fatal(err)
	}
	var got sessionstore.LeakReport
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReportIsLoggedWithoutWebhook(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	runner := k.runner("")
	defer k.run(runner)()
	want := report()
	k.enqueue(runner, want)
	k.await("the log", func() bool { return k.logged(want.ID) == 1 })
	for _, says := range []string{`"theft":"stale"`, `"subject":"ann"`, `"ip":"198.51.100.9"`, `"user_agent":"App/4"`} {
		if !strings.Contains(k.log.String(), says) {
			t.Errorf("the log does not say %s:\n%s", says, k.log)
		}
	}
}

// A webhook that is down gets the report later, with the same id; it is logged once.
func TestDeliveryIsTriedAgain(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	hook := newReceiver(t, 1)
	runner := k.runner(hook.URL)
	defer k.run(runner)()
	want := report()
	k.enqueue(runner, want)
	k.await("the second attempt", func() bool { events, _ := hook.received(); return len(events) == 1 })
	if _, ids := hook.received(); len(ids) != 2 || ids[0] != ids[1] {
		t.Errorf("the attempts have the ids %v", ids)
	}
	if n := k.logged(want.ID); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if !strings.Contains(k.log.String(), "the webhook answered 502") {
		t.Errorf("the failure is not in the log:\n%s", k.log)
	}
}

// A webhook that requests a pause is sent nothing meanwhile, neither what it refused nor another report, by no replica. The
// pause is not taken for a wrong clock's, and a wrong clock's is found alongside it.
func TestWebhookAsksForAPause(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	var asked atomic.Int32
	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "1800")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	defer busy.Close()
	runner := k.runner(busy.URL)
	defer k.run(runner)()
	is := func(r sessionstore.LeakReport, condition string) func() bool {
		return func() bool {
			var n int
			if err := k.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+migrations.RiverSchema+`.river_job
				WHERE "kind" = 'leak_webhook' AND "args"->'report'->>'id' = $1 AND `+condition, r.ID.String()).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n == 1
		}
	}
	change := func(r sessionstore.LeakReport, to string) {
		if _, err := k.pool.Exec(t.Context(), `UPDATE `+migrations.RiverSchema+`.river_job SET `+to+` WHERE "kind" = 'leak_webhook' AND "args"->'report'->>'id' = $1`, r.ID.String()); err != nil {
			t.Fatal(err)
		}
	}
	const isRefused = `"state" = 'retryable' AND "attempt" = 1 AND "scheduled_at" BETWEEN now() + interval '28 minutes' AND now() + interval '31 minutes'`
	refused, putOff := report(), report()
	k.enqueue(runner, refused)
	k.await("the refusal", is(refused, isRefused))
	k.enqueue(runner, putOff)
	const isPutOff = `"state" = 'scheduled' AND "attempt" = 0 AND "scheduled_at" BETWEEN now() + interval '20 minutes' AND now() + interval '31 minutes'`
	k.await("the other report to wait", is(putOff, isPutOff))

	change(refused, `"attempted_at" = now() - interval '20 minutes'`)
	change(putOff, `"attempted_at" = now() - interval '2 hours', "scheduled_at" = now() + interval '1 day'`) // by a clock a day ahead
	k.await("what waits for a wrong clock to be looked at again", is(putOff, isPutOff+` AND "metadata"->>'snoozes' = '2'`))
	if n := asked.Load(); n != 1 || !is(refused, isRefused)() {
		t.Errorf("it was asked %d times", n)
	}
}

// The clock of the database may differ from this process's, which determines when a report is due, and which replica was
// killed. Neither the first delivery waits for that long, nor the second one, nor an interrupted one.
func TestReportDoesNotWaitForAClock(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			clock := testdb.NewClock(t, ahead)
			if clock == nil { // it is the machine's
				ahead = 0
			}
			k := leakKit{t, testdb.NewServerBy(t, clock).Pool(), &syncBuffer{}}
			hook := newReceiverBy(t, ahead, 1)
			runner := k.runner(hook.URL)
			interrupted, stolen := report(), report()
			k.enqueue(runner, interrupted)
			if _, err := k.pool.Exec(t.Context(), interruptQuery, interrupted.ID.String(), time.Minute); err != nil {
				t.Fatal(err)
			}
			k.enqueue(runner, stolen)
			defer k.run(runner)()
			k.await("the log", func() bool { return k.logged(interrupted.ID) == 1 && k.logged(stolen.ID) == 1 })
			k.await("the deliveries", func() bool { events, _ := hook.received(); return len(events) == 2 })
		})
	}
}

// The report is in the queue if, and only if, the transaction commits; any
// replica delivers it, including one that starts later.
func TestReportSharesTheTransaction(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	hook := newReceiver(t, 0)
	dead := k.runner(hook.URL) // never runs, as after a crash
	lost, kept := report(), report()
	err := pgx.BeginFunc(t.Context(), k.pool, func(tx pgx.Tx) error {
		if err := dead.Enqueue(t.Context(), tx, lost); err != nil {
			t.Error(err)
		}
		return errors.New("rolled back")
	})
	if err == nil {
		t.Fatal("the transaction was committed")
	}
	k.enqueue(dead, kept)
	defer k.run(k.runner(hook.URL))()
	k.await("the delivery", func() bool { events, _ := hook.received(); return len(events) == 1 && k.logged(kept.ID) == 1 })
	if _, ids := hook.received(); ids[0] != kept.ID.String() || k.logged(lost.ID) != 0 {
		t.Errorf("delivered %v", ids)
	}
}

// interruptQuery puts a report into the state that a replica leaves when it is killed, or
// while it works on it.
const interruptQuery = `UPDATE ` + migrations.RiverSchema + `.river_job
SET state = 'running', attempt = 1, attempted_at = now() - $2::interval WHERE args->'report'->>'id' = $1`

// The jobs of a killed replica are taken over soon; what a living one works on is not.
func TestInterruptedReportIsTakenOver(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	hook := newReceiver(t, 0)
	runner := k.runner(hook.URL)
	interrupted, running := report(), report()
	k.enqueue(runner, interrupted)
	k.enqueue(runner, running)
	for id, since := range map[uuid.UUID]time.Duration{interrupted.ID: time.Minute, running.ID: 0} {
		if _, err := k.pool.Exec(t.Context(), interruptQuery, id.String(), since); err != nil {
			t.Fatal(err)
		}
	}

	defer k.run(runner)()
	k.await("the delivery", func() bool { events, _ := hook.received(); return len(events) == 1 && k.logged(interrupted.ID) == 1 })
	if _, ids := hook.received(); ids[0] != interrupted.ID.String() || k.logged(running.ID) != 0 {
		t.Errorf("delivered %v", ids)
	}
}

// After a day of attempts a report is kept as dead, for an operator to see.
func TestUndeliverableReportIsKept(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	hook := newReceiver(t, 1000)
	runner := k.runner(hook.URL)
	k.enqueue(runner, report())
	if _, err := k.pool.Exec(t.Context(), `UPDATE `+migrations.RiverSchema+`.river_job SET attempt = max_attempts - 1 WHERE kind = 'leak_webhook'`); err != nil {
		t.Fatal(err)
	}
	defer k.run(runner)()
	k.await("the end", func() bool {
		var n int
		err := k.pool.QueryRow(t.Context(), `SELECT count(*) FROM `+migrations.RiverSchema+`.river_job WHERE kind = 'leak_webhook' AND state = 'discarded'`).Scan(&n)
		return err == nil && n == 1
	})
	k.await("the error in the log", func() bool { return strings.Contains(k.log.String(), `"level":"ERROR","msg":"a job failed"`) })
}

// Attempts continue for about a day, at growing intervals.
func TestAttemptsLastADay(t *testing.T) {
	t.Parallel()
	var total time.Duration
	last := time.Duration(0)
	for attempt := 1; attempt < webhook.MostAttempts; attempt++ {
		pause := webhook.Pause(attempt)
		if pause < last || pause > time.Hour {
			t.Errorf("the pause after attempt %d is %v, after %v", attempt, pause, last)
		}
		last, total = pause, total+pause
	}
	if total < 23*time.Hour || total > 26*time.Hour {
		t.Errorf("the attempts last %v", total)
	}
}

// Nothing of the URL or the secret is in the log or the job's row.
func TestNoSecretOfTheWebhookIsShown(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	runner := k.runner("http://user:hunter2@127.0.0.1:1/path-token") // no server listens there
	defer k.run(runner)()
	k.enqueue(runner, report())
	k.await("the failure", func() bool { return strings.Contains(k.log.String(), "cannot be reached") })
	var rows string
	err := k.pool.QueryRow(t.Context(), `SELECT coalesce(string_agg(j::text, ' '), '') FROM `+migrations.RiverSchema+`.river_job j`).Scan(&rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "path-token", strings.TrimPrefix(webhookSecret, "whsec_")} {
		if strings.Contains(k.log.String()+rows, secret) {
			t.Errorf("%q is shown", secret)
		}
	}
	if _, err := jobs.New(jobs.Config{
		Pool: k.pool, Sessions: newSessions(), Logger: slog.New(slog.DiscardHandler),
		LeakWebhook: jobs.Webhook{URL: "https://example.com", Secret: "whsec_no*base64"},
	}); err == nil || strings.Contains(err.Error(), "no*") {
		t.Errorf("a bad secret: %v", err)
	}
}

// A sequence that lags, as a logical replication leaves it, still ends the session. The report follows when the
// sequence is repaired.
func TestReportThatCannotBeEnqueuedFollows(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	k.enqueue(k.runner(""), report())
	k.enqueue(k.runner(""), report())
	const sequence = migrations.RiverSchema + ".river_job_id_seq"
	if _, err := k.pool.Exec(t.Context(), `SELECT setval('`+sequence+`', 1, false)`); err != nil {
		t.Fatal(err)
	}
	store, session, theft := k.steal(k.runner(""))
	if theft.ReportDelayed == nil || !strings.Contains(k.log.String(), `"level":"ERROR"`) {
		t.Errorf("the report is not delayed: %v\n%s", theft, k.log)
	}
	if got, err := store.Load(t.Context(), session); err != nil || got.RevokedAt.IsZero() {
		t.Errorf("the session is not revoked: %v", err)
	}
	if _, err := k.pool.Exec(t.Context(), `SELECT setval('`+sequence+`', (SELECT max(id) FROM `+migrations.RiverSchema+`.river_job))`); err != nil {
		t.Fatal(err)
	}
	runner, err := jobs.New(jobs.Config{Pool: k.pool, Sessions: newSessions(), KeptLeaks: store, Logger: slog.New(slog.NewJSONHandler(k.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer k.run(runner)()
	k.await("the report", func() bool { return k.logged(session) == 1 })
}

// steal uses a refresh token a second time, as a thief would; the report goes to the queue.
func (k leakKit) steal(queue sessionstore.LeakQueue) (*sessionstore.Store, uuid.UUID, *sessionstore.ReuseError) {
	k.t.Helper()
	ctx := k.t.Context()
	jwk, _, err := tokens.GenerateKey("HS256")
	if err != nil {
		k.t.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		k.t.Fatal(err)
	}
	store, err := sessionstore.New(k.pool, ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: "https://id.example.com", Audience: "https://api.example.com", ClientID: "app"},
		Grace:  1, Leaks: queue, // ns: every refresh rotates
	})
	if err != nil {
		k.t.Fatal(err)
	}
	session, first, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		k.t.Fatal(err)
	}
	newest := first.RefreshToken
	for range 2 {
		got, err := store.RefreshTokens(ctx, string(newest), sessionstore.Client{})
		if err != nil {
			k.t.Fatal(err)
		}
		newest = got.Pair.RefreshToken
	}
	_, err = store.RefreshTokens(ctx, string(first.RefreshToken), sessionstore.Client{})
	theft, ok := errors.AsType[*sessionstore.ReuseError](err)
	if !ok {
		k.t.Fatalf("a stolen token: %v", err)
	}
	return store, session.ID, theft
}

// A webhook that hangs delays no line of the log, and none waits until the queue looks for jobs without a notification.
func TestWebhookThatHangsDelaysNoLog(t *testing.T) {
	t.Parallel()
	k := setupLeaks(t)
	release := make(chan struct{})
	var hanging atomic.Int32
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		hanging.Add(1)
		<-release
	}))
	defer hook.Close()
	defer close(release)
	runner := k.runnerBy(jobs.Patient, hook.URL)
	defer k.run(runner)()
	k.enqueue(runner, report())
	k.await("a delivery that hangs", func() bool { return hanging.Load() > 0 })
	for range 12 { // more than can be sent at once
		stolen := report()
		k.enqueue(runner, stolen)
		k.await("the log", func() bool { return k.logged(stolen.ID) == 1 })
	}
}
