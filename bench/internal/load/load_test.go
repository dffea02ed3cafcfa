package load_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

func TestHowALoadEnds(t *testing.T) {
	t.Parallel()

	broken := errors.New("broken")
	for name, test := range map[string]struct {
		warmup time.Duration
		with   error
		want   string
	}{
		"used up":                {0, load.ErrUsedUp, ""},
		"used up in the warm-up": {time.Hour, load.ErrUsedUp, "before counting began"},
		"broken":                 {0, broken, "broken"},
	} {
		window := load.Window{Workers: 3, Warmup: test.warmup, Duration: time.Hour}
		for loop, run := range map[string]func(load.Work) (load.Measured, error){
			"closed": func(work load.Work) (load.Measured, error) { return load.Closed(t.Context(), window, work) },
			"open":   func(work load.Work) (load.Measured, error) { return load.Open(t.Context(), window, 1000, 1, work) },
		} {
			var calls atomic.Int64
			measured, err := run(func(context.Context, int) {
				time.Sleep(time.Millisecond)
				if calls.Add(1) > 50 {
					must.Do(test.with)
				}
			})
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("%s, %s: got %v", loop, name, err)
				}
				continue
			}
			n, fastest := measured.Latencies.TotalCount(), measured.Latencies.Milliseconds(0)
			if err != nil || n > 50 || n > 0 && fastest < 0.99 {
				t.Errorf("%s, %s: %d calls, the fastest took %v ms (%v)", loop, name, n, fastest, err)
			}
		}
	}
}

// A server that hangs for a moment makes all calls late that were due meanwhile, not just the one that it was at.
func TestOpenCountsTheTimeInWhichCallsWait(t *testing.T) {
	t.Parallel()

	var calls atomic.Int64
	measured, err := load.Open(t.Context(), load.Window{Workers: 1, Duration: time.Hour}, 200, 1, func(context.Context, int) {
		switch calls.Add(1) {
		case 20:
			time.Sleep(300 * time.Millisecond)
		case 200:
			must.Do(load.ErrUsedUp)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if slow := measured.Latencies.Milliseconds(90); slow < 100 { // of some 40 calls that were due in the first 200 ms of the pause
		t.Errorf("nine of ten calls took less than %v ms", slow)
	}
}

func TestClientKeepsItsConnection(t *testing.T) {
	t.Parallel()

	var remote sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		remote.Store(r.RemoteAddr, true)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	}))
	defer server.Close()
	client := load.NewClient(server.Listener.Addr().String())
	defer client.Close()
	for _, size := range []int{1, 100_000, 10} {
		request := load.Request{Method: http.MethodPost, Path: "/", Type: load.JSON, Body: strings.Repeat("x", size)}
		if body, err := client.Send(http.StatusCreated, request); err != nil || string(body) != request.Body {
			t.Errorf("%d bytes came back as %d (%v)", size, len(body), err)
		}
		if _, err := client.Send(http.StatusOK, request); err == nil {
			t.Error("a status other than the expected one passed")
		}
	}
	n := 0
	remote.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("it used %d connections", n)
	}
}
