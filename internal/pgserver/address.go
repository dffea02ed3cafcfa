//go:build unix

package pgserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// ErrNotRunning says that no process runs a server in the folder: it can be started, not attached to.
var ErrNotRunning = errors.New("no server runs in the folder")

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
		a.loopback = false
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()

	conn, err := pgconn.Connect(ctx, a.URL("postgres"))
	if err != nil {
		return err
	}

	return conn.Close(ctx)
}

// Attach returns the address of the server that another process runs in dir, and waits for it if it is about to be
// ready. Without such a process it returns [ErrNotRunning].
func Attach(ctx context.Context, dir string) (Address, error) {
	if err := forgetLibpq(); err != nil {
		return Address{}, err
	}
	for {
		running, err := owned(dir)
		if err != nil {
			return Address{}, err
		}
		if !running {
			return Address{}, fmt.Errorf("%s: %w", dir, ErrNotRunning)
		}

		a, err := findAddress(dir)
		if err == nil {
			err = a.ping(ctx)
		}
		if err == nil {
			return a, nil
		}
		if refused(err) {
			return Address{}, fmt.Errorf("pgserver: %s: %w", dir, err)
		}

		select {
		case <-ctx.Done():
			return Address{}, fmt.Errorf("pgserver: the server in %s is not ready: %w", dir, errors.Join(ctx.Err(), err))
		case <-time.After(pollPause):
		}
	}
}

func findAddress(dir string) (Address, error) {
	data := filepath.Join(dir, homeName, dataName)
	password, err := readPassword(data)
	if err != nil {
		return Address{}, err
	}
	pm, err := readPostmaster(data)
	if err != nil {
		return Address{}, err
	}
	if pm.socketDir == "" {
		if !pm.ready {
			return Address{}, errors.New("the socket does not exist yet")
		}
		return Address{port: pm.port, loopback: true, password: password}, nil // it holds the port, and proves who it is
	}
	info, err := os.Stat(data)
	if err != nil {
		return Address{}, fmt.Errorf("pgserver: %w", err)
	}

	return Address{socket: socketDir{path: pm.socketDir, owner: ownerOf(info)}, port: pm.port, password: password}, nil
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
