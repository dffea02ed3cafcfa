package rivals

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
	"github.com/latchkey-sessions/latchkey/bench/internal/stats"
)

// measure sends requests to the server over as many connections as cfg says: on each the next one when the last one
// has been answered. Every answer has to be the session's data.
func (s *scsServer) measure(ctx context.Context, cfg Config, method string) (_ Result, err error) {
	base, err := url.Parse(s.URL)
	if err != nil {
		return Result{}, err
	}
	requests := make([][]byte, len(s.Cookies))
	for i, cookie := range s.Cookies {
		requests[i] = fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nContent-Length: 0\r\n\r\n", method, SCSPath, base.Host, cookie)
	}

	conns := make([]*load.Conn, 0, cfg.Connections)
	defer func() {
		for _, conn := range conns {
			_ = conn.Close() // nothing is under way any more
		}
	}()
	for range cfg.Connections {
		conn, err := load.Dial(base.Host)
		if err != nil {
			return Result{}, err
		}
		conns = append(conns, conn)
	}

	var used time.Duration
	var usedErr error
	count := func(sign time.Duration) func() {
		return func() {
			cpu, err := machine.CPU(s.pid)
			used += sign * cpu
			usedErr = errors.Join(usedErr, err)
		}
	}
	window := load.Window{Workers: cfg.Connections, Warmup: cfg.Duration / 4, Duration: cfg.Duration, Begin: count(-1), End: count(1)}
	want := []byte(cfg.Data)
	measured, err := load.Closed(ctx, window, func(worker int) error {
		status, _, body, err := conns[worker].Do(requests[rand.IntN(len(requests))]) //nolint:gosec // which session is read is no secret
		if err == nil && (status != http.StatusOK || !bytes.Equal(body, want)) {
			err = fmt.Errorf("it answered %d %q", status, body)
		}

		return err
	})
	if err := errors.Join(err, usedErr); err != nil {
		return Result{}, err
	}

	slices.Sort(measured.Latencies)
	latencies := measured.Latencies

	return Result{
		PerSecond: measured.PerSecond(),
		P50ms:     stats.Percentile(latencies, 0.50).Seconds() * 1000,
		P99ms:     stats.Percentile(latencies, 0.99).Seconds() * 1000,
		Note:      fmt.Sprintf("%s, CPU of the server %.0f µs a request", s.Versions, float64(used.Microseconds())/float64(len(latencies))),
	}, nil
}
