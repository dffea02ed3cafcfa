// Package logpipe keeps a log whose reader has stopped from stopping what is logged about.
package logpipe

import (
	"io"
	"sync"
	"time"
)

// room is how much of the log waits for its reader, in bytes: some thousands of lines.
const room = 1 << 20

// Writer hands what is written to it on, in the order in which it came, and never blocks. What finds no
// room is lost, and counted.
type Writer struct {
	to io.Writer
	// lost is told how many lines were, when there is room again.
	lost func(lines int)

	mu      sync.Mutex
	waiting []byte
	dropped int
	closed  bool
	wake    chan struct{}
	done    chan struct{}
}

// New returns a writer to a pipe, a file or a terminal. It calls lost after lines were, from a goroutine of its own; what
// that logs comes here again.
func New(to io.Writer, lost func(lines int)) *Writer {
	w := &Writer{to: to, lost: lost, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Write takes a line of the log. It never fails, because no error could be reported.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	if len(w.waiting)+len(line) > room || w.closed {
		w.dropped++
	} else {
		w.waiting = append(w.waiting, line...)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default: // it is awake
	}
	return len(line), nil
}

// Close waits until everything is written, and not for longer than the time-out.
func (w *Writer) Close(timeout time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case <-w.done:
	case <-time.After(timeout):
	}
}

func (w *Writer) run() {
	defer close(w.done)
	var spare []byte
	for range w.wake {
		for {
			w.mu.Lock()
			lines, dropped, closed := w.waiting, w.dropped, w.closed
			w.waiting, w.dropped = spare[:0], 0
			w.mu.Unlock()
			if len(lines) > 0 {
				_, _ = w.to.Write(lines) // where the log cannot be written, that cannot be logged
			}
			spare = lines
			if dropped > 0 && !closed {
				w.lost(dropped)
			}
			if closed {
				return
			}
			if len(lines) == 0 && dropped == 0 {
				break
			}
		}
	}
}
