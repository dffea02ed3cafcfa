package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	readHeaderTimeout = 5 * time.Second
	maxHeaderBytes    = 32 << 10
	// writeMargin is the time left to send a response to a slow client after the
	// request was read and processed.
	writeMargin = 10 * time.Second
)

// Run serves both listeners and closes them. When ctx ends it logs the cause, is no longer
// ready, accepts no more requests once the configured delay is over, lets the running ones
// finish, and returns nil, or an error if some did not end in time. It returns earlier,
// with the error, if a listener fails.
func (s *Server) Run(ctx context.Context, public, internal net.Listener) error {
	servers := []*http.Server{s.httpServer(ctx, s.public), s.httpServer(ctx, s.internal)}
	failed := make(chan error, len(servers))
	var serving sync.WaitGroup
	for i, listener := range []net.Listener{public, internal} {
		serving.Go(func() { failed <- servers[i].Serve(listener) })
	}
	var why error
	select {
	case <-ctx.Done():
		s.stopping.Store(true)
		s.logger.InfoContext(ctx, "the service stops", "why", context.Cause(ctx), "delay_seconds", s.cfg.ShutdownDelay.Seconds())
		select {
		case <-time.After(s.cfg.ShutdownDelay):
		case err := <-failed:
			why = fmt.Errorf("httpapi: serve: %w", err)
		}
		s.logger.InfoContext(ctx, "no more requests are accepted", "drain_timeout_seconds", s.cfg.DrainTimeout.Seconds())
	case err := <-failed:
		why = fmt.Errorf("httpapi: serve: %w", err)
	}
	err := drain(ctx, servers, s.cfg.DrainTimeout)
	serving.Wait()
	return errors.Join(why, err)
}

// drain stops all servers at once, and cuts off what is still running when its time is
// over.
func drain(ctx context.Context, servers []*http.Server, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	drained := make(chan error, len(servers))
	for _, server := range servers {
		go func() {
			err := server.Shutdown(ctx)
			if err != nil {
				err = fmt.Errorf("httpapi: requests were still running after %v: %w", timeout, errors.Join(err, server.Close()))
			}
			drained <- err
		}()
	}
	var errs []error
	for range servers {
		errs = append(errs, <-drained)
	}
	return errors.Join(errs...)
}

func (s *Server) httpServer(ctx context.Context, handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: min(readHeaderTimeout, s.cfg.ReadTimeout),
		ReadTimeout:       s.cfg.ReadTimeout,
		WriteTimeout:      s.cfg.ReadTimeout + s.cfg.RequestTimeout + writeMargin,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
		// Requests outlive ctx: they are drained.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
}
