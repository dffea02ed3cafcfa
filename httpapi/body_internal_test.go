package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/iotest"
)

// A body of any length is read, in whatever pieces it comes, up to the limit; room is only where it begins.
func TestReadAll(t *testing.T) {
	t.Parallel()
	for name, pieces := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "in halves": iotest.HalfReader, "the end with the data": iotest.DataErrReader,
	} {
		for _, n := range []int{0, 1, 15, 16, 17, bytes.MinRead, 3000} {
			want := bytes.Repeat([]byte("ab"), n)[:n]
			for _, room := range []int{0, 16} {
				got, err := readAll(pieces(bytes.NewReader(want)), make([]byte, 0, room), int64(n))
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes %s into %d: %d bytes, %v", n, name, room, len(got), err)
				}
				if n == 0 {
					continue
				}
				got, err = readAll(pieces(bytes.NewReader(want)), make([]byte, 0, room), int64(n-1))
				if tooLarge := asTooLarge(err); got != nil || tooLarge == nil || tooLarge.Limit != int64(n-1) {
					t.Errorf("a byte more than %d %s into %d: %d bytes, %v", n-1, name, room, len(got), err)
				}
			}
		}
	}
	if got, err := readAll(iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader([]byte("ab")))), nil, 9); got != nil || !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("%q, %v", got, err)
	}
}

// A client that hung up, one that is too slow, one that sends too much, and a body that violates HTTP are told apart.
func TestBodiesThatAreNotRead(t *testing.T) {
	t.Parallel()
	tooLarge := &http.MaxBytesError{Limit: 1}
	for err, want := range map[error]code{
		errors.New("invalid byte in chunk length"): codeMalformedBody,
		io.ErrUnexpectedEOF:                        codeClientClosedRequest,
		fmt.Errorf("x: %w", io.ErrUnexpectedEOF):   codeClientClosedRequest,
		&net.OpError{Err: errors.New("reset")}:     codeClientClosedRequest,
		tooLarge:                                   codeBodyTooLarge,
		os.ErrDeadlineExceeded:                     codeRequestTimeout,
		&net.OpError{Err: os.ErrDeadlineExceeded}:  codeRequestTimeout,
	} {
		if got := problemOf(refusedBody(err)); got.code != want || (got.detail != "") != (want == codeMalformedBody || want == codeBodyTooLarge) {
			t.Errorf("%v: %+v, want %s", err, got, want)
		}
	}
	if err := refusedBody(nil); err != nil {
		t.Error(err)
	}
}
