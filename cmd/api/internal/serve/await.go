package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/primary"
)

const (
	// awaitPause is the pause between two attempts to reach a database that is not available yet, and awaitReminder that
	// between two log lines about it.
	awaitPause, awaitReminder = time.Second, time.Minute

	standInTimeout = 5 * time.Second
)

// awaitDatabase calls check until the database answers it. An error that waiting cannot fix, such as a wrong password,
// is returned at once. A service that exited instead would be restarted for as long as the database is down, at growing
// intervals, and would not be running when it is back.
func (s *service) awaitDatabase(ctx context.Context, check func() error) error {
	err := check()
	if err == nil || !mayCome(err) {
		return err
	}
	defer s.standIn(ctx)()
	began, next := time.Now(), time.Now()
	for ; err != nil && mayCome(err); err = check() {
		if now := time.Now(); !now.Before(next) {
			s.log.WarnContext(ctx, "the database is not available yet: waiting for it", "error", err)
			next = now.Add(awaitReminder)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(awaitPause):
		}
	}
	if err == nil {
		s.log.InfoContext(ctx, "the database is available", "waited_seconds", time.Since(began).Round(time.Millisecond).Seconds())
	}
	return err
}

// mayCome reports whether an error is that of a database which may be available soon: it is starting, or nothing answers
// at its address.
func mayCome(err error) bool {
	if said, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch said.Code {
		case "57P03", "57P01", "57P02", "53300": // cannot_connect_now, admin_shutdown, crash_shutdown, too_many_connections
			return true
		}
		return false
	}
	if _, ok := errors.AsType[net.Error](err); ok { // name resolution, dialing, time-outs
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// unusable says which setting leads to a database that cannot be used, and which one may be missing.
func unusable(err error) error {
	if errors.Is(err, primary.ErrReadOnly) {
		return errors.New("the database of LATCHKEY_DATABASE_URL takes no writes: it is a standby, or default_transaction_read_only is on; it must be a primary")
	}
	err = fmt.Errorf("the database of LATCHKEY_DATABASE_URL cannot be used: %w", err)
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && strings.HasPrefix(answer.Message, "unsupported startup parameter") {
		return fmt.Errorf("%w; with a PgBouncer in transaction mode, LATCHKEY_DIRECT_DATABASE_URL must be set", err)
	}
	return err
}

// standIn answers on both listeners that the service is alive and not ready, until it is stopped.
func (s *service) standIn(ctx context.Context) (stop func()) {
	server := &http.Server{Handler: httpapi.Unavailable(s.log), ReadHeaderTimeout: standInTimeout}
	var serving sync.WaitGroup
	for _, listener := range []net.Listener{s.public, s.internal} {
		serving.Go(func() { _ = server.Serve(lent{listener}) }) // the service is stopping
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), standInTimeout)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close() // a client that sends this slowly is not waited for
		}
		serving.Wait()
		for _, listener := range []net.Listener{s.public, s.internal} {
			_ = lent{listener}.until(time.Time{})
		}
	}
}

// lent is a listener that continues listening when its server closes it: clients that connect then are served by the
// next one.
type lent struct{ net.Listener }

// Close ends the wait for clients.
func (l lent) Close() error { return l.until(time.Now()) }

func (l lent) until(deadline time.Time) error {
	if tcp, ok := l.Listener.(*net.TCPListener); ok {
		return tcp.SetDeadline(deadline)
	}
	return l.Listener.Close()
}
