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
)

func TestClosedCountsWhatEndsInTheWindow(t *testing.T) {
	t.Parallel()

	const workers = 4
	var calls, begun, ended atomic.Int64
	measured, err := load.Closed(t.Context(), load.Window{
		Workers: workers, Warmup: 50 * time.Millisecond, Duration: 200 * time.Millisecond,
		Begin: func() {
			for calls.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			begun.Store(calls.Load())
		},
		End: func() { ended.Store(calls.Load()) },
	}, func(int) error {
		time.Sleep(2 * time.Millisecond)
		calls.Add(1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Each worker may be just about to count its call at either end.
	if n, most := int64(measured.Latencies.Count()), ended.Load()-begun.Load()+2*workers; n > most {
		t.Errorf("%d were counted, and at most %d ended in the window", n, most)
	}
	if measured.Elapsed < 200*time.Millisecond {
		t.Errorf("it lasted %v", measured.Elapsed)
	}
	if fastest := measured.Latencies.Milliseconds(0); measured.Latencies.Count() > 0 && fastest < 1.99 {
		t.Errorf("a latency is %v ms", fastest)
	}
}

func TestHowALoadEnds(t *testing.T) {
	t.Parallel()

	broken := errors.New("broken")
	for name, test := range map[string]struct {
		warmup time.Duration
		with   error
		failed bool
	}{
		"used up":                {0, load.ErrUsedUp, false},
		"used up in the warm-up": {time.Hour, load.ErrUsedUp, true},
		"broken":                 {0, broken, true},
	} {
		for loop, run := range map[string]func(load.Window, load.Work) (load.Measured, error){
			"closed": func(w load.Window, work load.Work) (load.Measured, error) { return load.Closed(t.Context(), w, work) },
			"open": func(w load.Window, work load.Work) (load.Measured, error) {
				return load.Open(t.Context(), w, 1000, 1, work)
			},
		} {
			var calls atomic.Int64
			_, err := run(load.Window{Workers: 3, Warmup: test.warmup, Duration: time.Hour}, func(int) error {
				time.Sleep(time.Millisecond)
				if calls.Add(1) > 50 {
					return test.with
				}
				return nil
			})
			if (err != nil) != test.failed || errors.Is(test.with, broken) && !errors.Is(err, broken) {
				t.Errorf("%s, %s: got %v", loop, name, err)
			}
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := load.Closed(ctx, load.Window{Workers: 1, Duration: time.Hour}, func(int) error {
		time.Sleep(time.Millisecond)
		return nil
	}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A server that hangs for a moment makes all calls late that were due meanwhile, not just the one that it was at.
func TestOpenCountsTheTimeInWhichCallsWait(t *testing.T) {
	t.Parallel()

	var calls atomic.Int64
	measured, err := load.Open(t.Context(), load.Window{Workers: 1, Duration: time.Hour}, 200, 1, func(int) error {
		switch calls.Add(1) {
		case 20:
			time.Sleep(300 * time.Millisecond)
		case 200:
			return load.ErrUsedUp
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := measured.Latencies.Count(); n < 190 || n != measured.Late.Count() {
		t.Errorf("%d latencies, %d latenesses", n, measured.Late.Count())
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
		if r.Header.Get("Authorization") != "Bearer x" || r.Header.Get("Content-Type") != load.JSON || r.Header.Get("If-Match") != `"7"` {
			t.Errorf("the header is %v", r.Header)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	}))
	defer server.Close()
	client := load.NewClient(server.Listener.Addr().String())
	defer client.Close()
	for _, size := range []int{1, 1000, 100_000, 10} {
		request := load.Request{Method: http.MethodPost, Path: "/", Bearer: "x", IfMatch: "7", Type: load.JSON, Body: strings.Repeat("x", size)}
		if body, err := client.Send(http.StatusCreated, request); err != nil || string(body) != request.Body {
			t.Errorf("%d bytes came back as %d (%v)", size, len(body), err)
		}
		if _, err := client.Send(http.StatusOK, request); err == nil {
			t.Error("another status than the wanted one passed")
		}
	}
	n := 0
	remote.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("it used %d connections", n)
	}
}
