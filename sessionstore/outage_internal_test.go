package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestIsOutage(t *testing.T) {
	t.Parallel()
	code := func(code string) error { return &pgconn.PgError{Code: code} }
	for _, test := range []struct {
		err  error
		want bool
	}{
		{context.Canceled, true},
		{fmt.Errorf("timeout: %w", context.DeadlineExceeded), true},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, true},
		{&pgconn.ConnectError{}, true},
		{io.ErrUnexpectedEOF, true},
		{pgconn.ErrConnClosed, true},
		{code("08006"), true},
		{code("25006"), true},
		{code("53300"), true},
		{code("57P01"), true},
		{code("57014"), false},
		{code("22P05"), false},
		{code("23505"), false},
		{code("40001"), false},
		{code("XX001"), false},
		{errors.New("failed to encode args[10]"), false},
	} {
		if got := isOutage(test.err); got != test.want {
			t.Errorf("%v: %v, want %v", test.err, got, test.want)
		}
	}
}
