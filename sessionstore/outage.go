package sessionstore

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/internal/primary"
)

// isOutage reports whether an error comes from the connection, the server's state or
// the time limit: any other call would get the same. Any other error may be due to
// the call itself, including those of the driver, which encodes the arguments.
func isOutage(err error) bool {
	if primary.Refused(err) {
		return true
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		return isOutageCode(answer.Code)
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	for _, outage := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, pgconn.ErrConnClosed} {
		if errors.Is(err, outage) {
			return true
		}
	}
	return false
}

// isOutageCode is [isOutage] for a SQLSTATE (PostgreSQL's Appendix A). A statement
// that took too long (57014) may have waited for one call's lock.
func isOutageCode(code string) bool {
	const queryCanceled = "57014"
	for _, class := range []string{
		"08", // connection exception
		"53", // insufficient resources: no room on disk, no memory, too many connections
		"57", // operator intervention: shutting down, starting up
	} {
		if strings.HasPrefix(code, class) {
			return code != queryCanceled
		}
	}
	return false
}
