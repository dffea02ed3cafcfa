package logpipe_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/logpipe"
)

const patience = time.Minute

func TestLinesKeepTheirOrder(t *testing.T) {
	t.Parallel()
	var got bytes.Buffer
	w := logpipe.New(&got, func(int) { t.Error("lines were lost") })
	var want strings.Builder
	for i := range 1000 {
		line := fmt.Sprintln("line", i)
		want.WriteString(line)
		if n, err := io.WriteString(w, line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	w.Close(patience)
	if got.String() != want.String() {
		t.Errorf("%d bytes came of %d, or in another order", got.Len(), want.Len())
	}
}

// stepwise is a reader that reads each piece when it may.
type stepwise struct {
	bytes.Buffer

	asked, may chan struct{}
}

func (s *stepwise) Write(p []byte) (int, error) {
	s.asked <- struct{}{}
	<-s.may
	return s.Buffer.Write(p)
}

// Lines that arrive during a write do not change what is being written, not even after a pause.
func TestLinesAreNotOverwritten(t *testing.T) {
	t.Parallel()
	reader := &stepwise{asked: make(chan struct{}), may: make(chan struct{})}
	w := logpipe.New(reader, func(int) { t.Error("lines were lost") })
	for _, pair := range []string{"ab", "cd", "ef"} {
		_, _ = w.Write([]byte(pair[:1]))
		<-reader.asked
		_, _ = w.Write([]byte(pair[1:]))
		reader.may <- struct{}{}
		<-reader.asked
		reader.may <- struct{}{}
		time.Sleep(10 * time.Millisecond) // until there is nothing to do, mostly
	}
	w.Close(patience)
	if got := reader.String(); got != "abcdef" {
		t.Errorf("%q", got)
	}
}

// A reader that stops delays no writer. When it continues, it gets what there was room for, and the number of lost lines.
func TestNobodyWaitsForAReader(t *testing.T) {
	t.Parallel()
	reader, pipe := io.Pipe()
	dropped := 0
	w := logpipe.New(pipe, func(lines int) { dropped += lines })
	const written = 3000
	var writers sync.WaitGroup
	for range 3 {
		writers.Go(func() {
			for range written / 3 {
				_, _ = w.Write(line) // it never fails
			}
		})
	}
	writers.Wait() // although nothing reads

	read := make(chan int64, 1)
	go func() {
		n, _ := io.Copy(io.Discard, reader)
		read <- n
	}()
	w.Close(patience)
	_ = pipe.Close()
	if n := int(<-read) / len(line); n+dropped != written || dropped == 0 {
		t.Errorf("%d lines came, %d were lost, of %d", n, dropped, written)
	}
}

// line fills what there is room for 1,024 times.
var line = []byte(strings.Repeat("x", 1023) + "\n")

// stalled is a reader that does not read at first.
type stalled struct {
	bytes.Buffer

	asked chan struct{} // closed when it is first written to
	reads chan struct{} // closed when it begins to read
	once  sync.Once
}

func (s *stalled) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.asked) })
	<-s.reads
	return s.Buffer.Write(p)
}

// Lines that were lost before closing are reported on closing, and the report is written.
func TestTheLastReportIsWritten(t *testing.T) {
	t.Parallel()
	reader := &stalled{asked: make(chan struct{}), reads: make(chan struct{})}
	var w *logpipe.Writer
	w = logpipe.New(reader, func(lines int) { _, _ = fmt.Fprintln(w, "lost:", lines) })
	_, _ = w.Write(line)
	<-reader.asked
	const fit, lost = 1024, 10
	for range fit + lost {
		_, _ = w.Write(line)
	}
	w.Close(0) // nothing reads yet
	close(reader.reads)
	w.Close(patience)
	if got := reader.String(); len(got) < len(line)*(1+fit) || got[len(line)*(1+fit):] != fmt.Sprintln("lost:", lost) {
		t.Errorf("%d bytes came, ending in %q", len(got), got[max(0, len(got)-40):])
	}
}

// Closing does not wait forever either.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	reader, pipe := io.Pipe()
	w := logpipe.New(pipe, func(int) {})
	_, _ = io.WriteString(w, "a line\n")
	w.Close(time.Millisecond)
	_ = reader.Close() // ends what still waits
}
