// Package logpipe keeps a stalled log reader from stalling the program that logs.
package logpipe

import (
	"io"
	"sync"
	"time"
)

// room is how much of the log waits for its reader, in bytes: a few thousand lines.
const room = 1 << 20

// Writer passes on what is written to it, in order, and never blocks. Lines that find no room are lost, and counted.
type Writer struct {
	to io.Writer
	// lost is called with the number of lost lines once there is room again.
	lost func(lines int)

	mu      sync.Mutex
	waiting []byte
	dropped int
	closed  bool
	wake    chan struct{}
	done    chan struct{}
}

// New returns a writer to a pipe, a file or a terminal. It calls lost after lines were lost, from a separate goroutine;
// what that logs is written here too.
func New(to io.Writer, lost func(lines int)) *Writer {
	w := &Writer{to: to, lost: lost, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go w.run()
	return w
}

// Write takes a line of the log, even after [Writer.Close], until all of it is written. It never fails, because no error
// could be reported.
func (w *Writer) Write(line []byte) (int, error) {
	w.mu.Lock()
	if len(w.waiting)+len(line) > room {
		w.dropped++
	} else {
		w.waiting = append(w.waiting, line...)
	}
	w.mu.Unlock()
	w.awake()
	return len(line), nil
}

// Close waits until everything is written and what was lost is reported, but no longer than the time-out.
func (w *Writer) Close(timeout time.Duration) {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.awake()
	select {
	case <-w.done:
	case <-time.After(timeout):
	}
}

func (w *Writer) awake() {
	select {
	case w.wake <- struct{}{}:
	default: // it is already awake
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
			spare = lines // once it is written
			w.mu.Unlock()
			if len(lines) == 0 && dropped == 0 {
				if closed {
					return
				}
				break
			}
			if len(lines) > 0 {
				_, _ = w.to.Write(lines) // a failure to write the log cannot be logged
			}
			if dropped > 0 {
				w.lost(dropped)
			}
		}
	}
}
