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

// A reader that stops delays no writer. When it continues, it gets what there was room for, and the number of lost lines.
func TestNobodyWaitsForAReader(t *testing.T) {
	t.Parallel()
	reader, pipe := io.Pipe()
	lost := make(chan int, 1)
	w := logpipe.New(pipe, func(lines int) { lost <- lines })
	line := []byte(strings.Repeat("x", 1023) + "\n")
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
	dropped := <-lost
	w.Close(patience)
	_ = pipe.Close()
	if n := int(<-read) / len(line); n+dropped != written || dropped == 0 {
		t.Errorf("%d lines came, %d were lost, of %d", n, dropped, written)
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
