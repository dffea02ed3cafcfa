//go:build unix

package pgserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	superuser = "latchkey"
	// pollPause is how often a starting or stopping server is checked. A check costs about a millisecond.
	pollPause = 15 * time.Millisecond
	// pingTimeout limits one check, in case what accepts the connection never answers.
	pingTimeout = 5 * time.Second
)

// Address is where a server listens, and its password.
type Address struct {
	socket   socketDir // zero for a server that an earlier version of this package runs
	port     int       // part of the socket's name, and TCP's where there is one
	loopback bool
	password string
}

// URL returns the libpq URL of the named database, password included: it is a secret. The database "postgres" always exists. A
// client that connects with it proves that it knows the password, and requires the same proof from the server, by
// SCRAM: anything else that answers there is sent nothing useful, and is not trusted.
func (a Address) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(superuser, a.password), Path: "/" + database}
	query := url.Values{"sslmode": {"disable"}, "require_auth": {"scram-sha-256"}}
	if a.loopback {
		u.Host = a.String()
	} else {
		query.Set("host", a.socket.path)
		query.Set("port", strconv.Itoa(a.port))
	}
	if a.loopback && a.socket.path != "" {
		query.Del("require_auth") // psql before version 16, which a test may call, does not know it
	}
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20") // for libpq and pgx a plus is a plus

	return u.String()
}

// String names the address without the password.
func (a Address) String() string {
	if a.loopback {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(a.port))
	}

	return a.socket.path
}

// Socket is the address of the server's socket, if it has one: a round trip through it takes less than one over TCP.
func (a Address) Socket() Address {
	a.loopback = a.loopback && a.socket.path == ""

	return a
}

// LogValue omits the password.
func (a Address) LogValue() slog.Value {
	return slog.StringValue(a.String())
}

// ping really connects, because a socket does not mean that a server is ready; and uses the socket if there is one,
// because anyone may have taken a port.
func (a Address) ping(ctx context.Context) error {
	if a.socket.path != "" {
		if err := a.socket.check(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()

	conn, err := pgconn.Connect(ctx, a.Socket().URL("postgres"))
	if err != nil {
		return err
	}

	return conn.Close(ctx)
}

// refused distinguishes a permanent answer from a server that is not available yet.
func refused(err error) bool {
	if errors.Is(err, os.ErrPermission) || errors.Is(err, errNotPrivate) {
		return true
	}
	var answer *pgconn.PgError
	const cannotConnectNow = "57P03" // starting up, recovering, or shutting down

	return errors.As(err, &answer) && answer.Code != cannotConnectNow
}
