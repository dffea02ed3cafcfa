package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

const (
	defaultBuffer = 8192
	// retryPause is how long to wait before retrying a failed write.
	retryPause = time.Second
	// drainTimeout is how long the end of [Log.Run] waits for the remaining events to be
	// written.
	drainTimeout = 5 * time.Second
	// complainEvery is how often the same problem is logged.
	complainEvery = time.Minute
)

// Config says where events go.
type Config struct {
	// Output receives the lines: each in one Write, one after another. If a Write
	// fails, the rest of the line is retried once per second, and later events
	// wait. Required.
	Output io.Writer
	// Origin says who acts in a context. Nil means [OriginOf].
	Origin func(context.Context) Origin
	// Buffer is how many events may wait for Output. Events beyond that are lost.
	// Zero means 8192, about 5 MB.
	Buffer int
	// Logger records when events cannot be written, and how many were lost. Nil
	// means [slog.Default].
	Logger *slog.Logger
}

// Log is an audit trail. Make it with [New]; it is safe for concurrent use.
type Log struct {
	cfg   Config
	queue chan Event

	written, lost, failures atomic.Uint64
	complained              atomic.Int64 // when a loss was last logged, in nanoseconds
}

// New returns a log, whose Run must run for anything to be written. It starts no
// goroutine.
func New(cfg Config) (*Log, error) {
	if cfg.Output == nil {
		return nil, errors.New("audit: an Output is required")
	}
	if cfg.Buffer < 0 {
		return nil, fmt.Errorf("audit: Buffer is %d, it may not be negative", cfg.Buffer)
	}
	cfg.Buffer = cmp.Or(cfg.Buffer, defaultBuffer)
	if cfg.Origin == nil {
		cfg.Origin = OriginOf
	}
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	return &Log{cfg: cfg, queue: make(chan Event, cfg.Buffer)}, nil
}

// Counts is what happened to events.
type Counts struct {
	// Written is how many lines were written.
	Written uint64
	// Lost is how many events will never be written.
	Lost uint64
	// Failures is how many attempts to write failed.
	Failures uint64
	// Waiting is how many events wait to be written.
	Waiting int
}

// Counts returns what has happened to events so far.
func (l *Log) Counts() Counts {
	return Counts{Written: l.written.Load(), Lost: l.lost.Load(), Failures: l.failures.Load(), Waiting: len(l.queue)}
}

// Record records an event that the store does not observe, as done by the actor
// in ctx. It does not wait. The event's Origin, if it names an actor, wins.
func (l *Log) Record(ctx context.Context, e Event) {
	if e.Actor.Type == "" {
		e.Origin = l.origin(ctx)
	}
	l.record(ctx, e)
}

func (l *Log) origin(ctx context.Context) Origin { return l.cfg.Origin(ctx) }

func (l *Log) record(ctx context.Context, e Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if e.ID == uuid.Nil {
		e.ID = uuid.Must(uuid.NewV7()) // which fails only if random numbers do, and then nothing works
	}
	select {
	case l.queue <- e:
	default:
		l.lose(ctx, 1)
	}
}

// lose counts, and complains once a minute.
func (l *Log) lose(ctx context.Context, n int) {
	lost := l.lost.Add(uint64(n)) //nolint:gosec // a number of events
	now := time.Now().UnixNano()
	last := l.complained.Load()
	if (last == 0 || now-last >= int64(complainEvery)) && l.complained.CompareAndSwap(last, now) {
		l.cfg.Logger.ErrorContext(ctx, "audit events were lost: they cannot be written as fast as they arrive", "lost", lost)
	}
}

// Run writes what is recorded until ctx ends, and then the remainder, for up to
// five seconds: end it after everything that may record. It returns nil. A write
// that hangs does not delay it further.
func (l *Log) Run(ctx context.Context) error {
	// The writer ends by itself once the queue is empty, or with give up, unless it hangs.
	giveUp, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.writeAll(ctx, giveUp)
	}()
	<-ctx.Done()
	select {
	case <-done:
	case <-time.After(drainTimeout):
		abandon()
		if n := len(l.queue); n > 0 {
			l.complained.Store(0) // it is the last chance to log this
			l.lose(context.WithoutCancel(ctx), n)
		}
	}
	return nil
}

func (l *Log) writeAll(ctx, giveUp context.Context) {
	for {
		select {
		case e := <-l.queue:
			l.write(giveUp, e)
			continue
		default:
		}
		select {
		case e := <-l.queue:
			l.write(giveUp, e)
		case <-ctx.Done():
			if len(l.queue) == 0 {
				return
			}
		case <-giveUp.Done():
			return
		}
	}
}

// write retries until it succeeds or is given up.
func (l *Log) write(giveUp context.Context, e Event) {
	rest, err := e.encode()
	if err != nil { // text, numbers and ids can always be encoded as JSON
		l.cfg.Logger.ErrorContext(giveUp, "an audit event cannot be written", "event", string(e.Name), "error", err)
		l.lost.Add(1)
		return
	}
	var failed, complained time.Time
	for {
		var n int
		n, err = l.cfg.Output.Write(rest)
		if err == nil {
			break
		}
		l.failures.Add(1)
		rest = rest[min(max(n, 0), len(rest)):]
		now := time.Now()
		if failed.IsZero() {
			failed = now
		}
		if now.Sub(complained) >= complainEvery {
			complained = now
			l.cfg.Logger.ErrorContext(giveUp, "audit events cannot be written, and are kept for now", "error", err, "waiting", len(l.queue)+1)
		}
		select {
		case <-time.After(retryPause):
		case <-giveUp.Done():
			l.lost.Add(1)
			return
		}
	}
	l.written.Add(1)
	if !failed.IsZero() {
		l.cfg.Logger.InfoContext(giveUp, "audit events are written again", "after", time.Since(failed).Round(time.Millisecond), "lost", l.lost.Load())
	}
}
