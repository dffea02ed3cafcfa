package soak_test

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	// mostFailures of one report's deliveries: the pauses between attempts double.
	mostFailures = 2
)

// receiver is an operator's webhook. It checks signatures, and sometimes fails.
type receiver struct {
	*httptest.Server
	soak    *soak
	checker *webhooks.Webhook
	calm    atomic.Bool
	reports reports

	mu       sync.Mutex
	dice     *rand.Rand
	failures map[string]int
	hung     bool // one delivery was given no answer at all
}

func newReceiver(s *soak) *receiver {
	s.t.Helper()
	checker, err := webhooks.NewWebhook(webhookSecret)
	if err != nil {
		s.t.Fatal(err)
	}
	r := &receiver{soak: s, checker: checker, dice: s.dice("receiver"), failures: map[string]int{}}
	r.calm.Store(true)
	r.Server = httptest.NewServer(http.HandlerFunc(r.receive))
	s.t.Cleanup(r.Close)
	return r
}

// receive counts only deliveries that it accepts: the others must come again.
func (r *receiver) receive(w http.ResponseWriter, q *http.Request) {
	t := r.soak.t
	body, err := io.ReadAll(q.Body)
	if err != nil { // its process was killed
		return
	}
	if err := r.checker.Verify(body, q.Header); err != nil {
		t.Errorf("a delivery's signature: %v", err)
	}
	var event struct {
		Type string `json:"type"`
		Data report `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil || event.Type != "session.leaked" || event.Data.ID == "" || event.Data.ID != q.Header.Get("Webhook-Id") {
		t.Errorf("a delivery is %s, its id %s (%v)", body, q.Header.Get("Webhook-Id"), err)
	}
	if !r.fail(q, event.Data.ID) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.reports.add(t, "webhook", event.Data)
	w.WriteHeader(http.StatusNoContent)
}

// fail returns false where the delivery is to fail. Panicking cuts the connection.
func (r *receiver) fail(q *http.Request, id string) (ok bool) {
	r.mu.Lock()
	what, pause, late := r.dice.Float64(), between(r.dice, 0, 30*time.Millisecond), between(r.dice, 0, time.Second)
	if r.calm.Load() || r.failures[id] >= mostFailures {
		what = 1
	}
	first := !r.hung
	hangs := first || what >= 0.95 && what < 1
	r.hung = true
	if what < 0.35 || hangs {
		r.failures[id]++
	}
	r.mu.Unlock()

	switch {
	case hangs: // until the service gives it up; but for the first one, or the storm ends
		for waits := true; waits && (first || !r.calm.Load()); {
			waits = sleep(q.Context(), 50*time.Millisecond)
		}
		r.soak.tally.add("webhook: hung")
		panic(http.ErrAbortHandler)
	case what < 0.15:
		r.soak.tally.add("webhook: failed")
		return false
	case what < 0.25:
		r.soak.tally.add("webhook: cut off")
		panic(http.ErrAbortHandler)
	case what < 0.35: // the process is killed that waits for this answer, or the other one
		r.soak.tally.add("webhook: killed a service meanwhile")
		sleep(q.Context(), pause)
		r.soak.murder("in a delivery")
		sleep(q.Context(), 200*time.Millisecond)
		panic(http.ErrAbortHandler)
	case what < 0.45:
		r.soak.tally.add("webhook: late")
		sleep(q.Context(), late)
	}
	return true
}
