package audit_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/internal/auditschema"
)

var session = uuid.MustParse("01a1fb4c-2568-766b-bcd8-5545f79f04da")

// output is a stream that can fail, write half a line, and hang.
type output struct {
	mu     sync.Mutex
	text   bytes.Buffer
	full   bool
	accept int           // bytes that it accepts before it is full
	hang   chan struct{} // if not nil, a Write waits for its end
}

func (o *output) Write(p []byte) (int, error) {
	if o.hang != nil {
		<-o.hang
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.full {
		return o.text.Write(p)
	}
	n := min(o.accept, len(p))
	o.accept -= n
	o.text.Write(p[:n])
	return n, errors.New("no space left on device")
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) setFull(full bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.full = full
}

// run runs a trail until the returned function is called.
func run(t *testing.T, cfg audit.Config) (trail *audit.Log, log *bytes.Buffer, stop func()) {
	t.Helper()
	log = &bytes.Buffer{}
	cfg.Logger = slog.New(slog.NewJSONHandler(log, nil))
	trail, err := audit.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- trail.Run(ctx) }()
	return trail, log, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func revoked() audit.Event {
	return audit.Event{Name: audit.SessionRevoked, SessionID: session, Subject: "ada", Reason: audit.Requested}
}

func TestLines(t *testing.T) {
	t.Parallel()
	out := &output{}
	trail, _, stop := run(t, audit.Config{Output: out})
	at := time.Date(2026, 11, 21, 9, 0, 0, 120_000_000, time.FixedZone("", 3600))
	id := uuid.MustParse("01a1fb60-1b0e-7c52-8f3e-0d6f6f5a8a11")
	ctx := audit.WithOrigin(t.Context(), audit.Origin{
		Actor: audit.Actor{Type: audit.ServiceKey, ID: "shop"}, ClientIP: "192.0.2.7", RequestID: "r-1", TraceID: strings.Repeat("0a", 16),
	})
	e := revoked()
	e.Time, e.ID, e.Subject = at, id, "a\n<b>\u2028\"ü"
	trail.Record(ctx, e)
	trail.Record(t.Context(), revoked()) // without an actor
	stop()

	events := auditschema.Events(t, out.String())
	if len(events) != 2 {
		t.Fatalf("%d events: %s", len(events), out)
	}
	want := `{"time":"2026-11-21T08:00:00.120000Z","id":"01a1fb60-1b0e-7c52-8f3e-0d6f6f5a8a11","event":"session.revoked",` +
		`"actor":{"type":"service_key","id":"shop"},"session_id":"01a1fb4c-2568-766b-bcd8-5545f79f04da","subject":"a\n<b>\u2028\"ü",` +
		`"reason":"requested","client_ip":"192.0.2.7","request_id":"r-1","trace_id":"` + strings.Repeat("0a", 16) + `"}`
	if got, _, _ := strings.Cut(out.String(), "\n"); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if diff := cmp.Diff(map[string]any{"type": "system"}, events[1]["actor"]); diff != "" {
		t.Error(diff)
	}
	if c := trail.Counts(); c != (audit.Counts{Written: 2}) {
		t.Errorf("%+v", c)
	}
}

// A full disk loses nothing while there is room in the buffer, and no caller
// waits.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &output{full: true, accept: 30}
		trail, log, stop := run(t, audit.Config{Output: out, Buffer: 10})
		began := time.Now()
		for range 14 { // one is being written, ten wait
			trail.Record(t.Context(), revoked())
			synctest.Wait()
		}
		if time.Since(began) != 0 {
			t.Error("a caller was kept waiting")
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if c := trail.Counts(); c != (audit.Counts{Lost: 3, Failures: 11, Waiting: 10}) {
			t.Errorf("%+v", c)
		}
		out.setFull(false)
		time.Sleep(time.Second)
		synctest.Wait()
		stop()
		if got := len(auditschema.Events(t, out.String())); got != 11 {
			t.Errorf("%d events are there, want 11:\n%s", got, out)
		}
		if c := trail.Counts(); c != (audit.Counts{Written: 11, Lost: 3, Failures: 11}) {
			t.Errorf("%+v", c)
		}
		for what, times := range map[string]int{
			"audit events cannot be written, and are kept for now": 1, "no space left on device": 1, "audit events were lost": 1, "audit events are written again": 1,
		} {
			if got := strings.Count(log.String(), what); got != times {
				t.Errorf("the log says %q %d times, want %d:\n%s", what, got, times, log)
			}
		}
	})
}

// A stream that hangs keeps neither a request nor the end of the service.
func TestHangingOutput(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &output{hang: make(chan struct{})}
		trail, log, stop := run(t, audit.Config{Output: out, Buffer: 10})
		for range 5 {
			trail.Record(t.Context(), revoked())
			synctest.Wait()
		}
		began := time.Now()
		stop()
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("the end took %v", took)
		}
		if c := trail.Counts(); c.Lost != 4 || !strings.Contains(log.String(), `"lost":4`) {
			t.Errorf("%+v: %s", c, log)
		}
		close(out.hang)
	})
}

// Events recorded before the end are written, even if the disk has room again only then.
func TestEndWritesWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &output{full: true}
		trail, _, stop := run(t, audit.Config{Output: out})
		for range 5 {
			trail.Record(t.Context(), revoked())
		}
		time.AfterFunc(3*time.Second, func() { out.setFull(false) })
		stop()
		if got := len(auditschema.Events(t, out.String())); got != 5 {
			t.Errorf("%d events are there, want 5", got)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]audit.Config{"no output": {}, "a negative buffer": {Output: &output{}, Buffer: -1}} {
		if _, err := audit.New(cfg); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
