// Package sessionhttp is net/http middleware for Go programs that keep their
// sessions with package sessionstore on their own database pool.
//
// For each request it loads the session of the bearer token, puts it into the
// context, lets handlers change its typed data, and writes the data back if
// they did. It promises that a handler's success reaches the client only if
// its changes were stored: they are written before the first byte of the
// response, and a conflict with another request is answered instead of it.
package sessionhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/protectedresource"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Store is what the middleware needs of a [sessionstore.Store].
type Store interface {
	GetWith(ctx context.Context, accessToken string, options sessionstore.GetOptions) (sessionstore.Session, tokens.Claims, error)
	Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error)
	Replace(ctx context.Context, replaced sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error)
	Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error
}

// Config says how the middleware answers.
type Config struct {
	// Optional lets requests without a bearer token pass, without a session. A
	// token that is no good is refused all the same.
	Optional bool
	// Proofs checks the proofs of access tokens that are bound to a key (RFC 9449).
	// Nil means that bound tokens are refused: they must not pass for bearer tokens.
	Proofs *dpop.Checker
	// Metadata, if set, is in the challenges of [Error] (RFC 9728 §5.1). Serve it at its
	// Path.
	Metadata *protectedresource.Metadata
	// OnError answers a request that cannot be served. Nil means [Error].
	OnError func(http.ResponseWriter, *http.Request, error)
	// Logger is told of changes that were made after the response had begun
	// and could not be stored. Nil means [slog.Default].
	Logger *slog.Logger
}

// Manager is the middleware for sessions whose data is a T, which
// encoding/json turns into a JSON object and back. Members of the stored data
// that T does not have are lost when a handler changes something.
type Manager[T any] struct {
	store Store
	cfg   Config
}

// New returns a manager.
func New[T any](store Store, cfg Config) *Manager[T] {
	if cfg.OnError == nil {
		cfg.OnError = Error
	}
	cfg.OnError = authorization.WithMetadata(cfg.OnError, cfg.Metadata)
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Manager[T]{store: store, cfg: cfg}
}

// Session is the session of a request. It belongs to the request's goroutine.
type Session[T any] struct {
	// Data may be changed at will.
	Data T
	// Info is the session as it was loaded.
	Info sessionstore.Session
	// Claims are those of the access token.
	Claims tokens.Claims

	store    Store
	checksum string // of the stored data
	baseline []byte // Data as it was encoded when it was last stored
	ended    bool
}

// contextKey is a manager's own: two of one type have two sessions in one request.
type contextKey struct{ manager any }

// From returns the session that this manager's [Manager.Handler] put into the context,
// or nil.
func (m *Manager[T]) From(ctx context.Context) *Session[T] {
	s, _ := ctx.Value(contextKey{m}).(*Session[T])
	return s
}

// Handler wraps next: it serves requests with a good access token.
func (m *Manager[T]) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, err := AccessToken(r)
		if errors.Is(err, ErrNoToken) && m.cfg.Optional {
			next.ServeHTTP(w, r)
			return
		}
		if err != nil {
			m.cfg.OnError(w, r, err)
			return
		}
		session, err := m.load(r.Context(), token, sessionstore.GetOptions{
			Check: func(claims tokens.Claims) error {
				if scheme == dpop.Scheme {
					m.cfg.Proofs.SetNonce(w.Header())
				}
				return notProven(m.cfg.Proofs.Confirm(r, scheme, token, claims.KeyThumbprint))
			},
			Unconfirmed: isRefreshed(r, token),
		})
		if err != nil {
			m.cfg.OnError(w, r, err)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), contextKey{m}, session))
		out := &responseWriter{
			ResponseWriter: w,
			request:        r,
			save:           session.Save,
			fail:           func(err error) { m.cfg.OnError(w, r, err) },
		}
		next.ServeHTTP(out, r)
		if out.begin(); out.failed { //nolint:contextcheck // it has the request and its context
			return
		}
		// What the handler changed while it was writing the response.
		if err := session.Save(r.Context()); err != nil {
			m.cfg.Logger.ErrorContext(r.Context(), "session data changed after the response had begun was not stored",
				"session_id", session.Info.ID.String(), "error", err.Error())
		}
	})
}

func (m *Manager[T]) load(ctx context.Context, token string, options sessionstore.GetOptions) (*Session[T], error) {
	info, claims, err := m.store.GetWith(ctx, token, options)
	if err != nil {
		return nil, err
	}
	s := &Session[T]{Info: info, Claims: claims, store: m.store}
	if err := s.read(info); err != nil {
		return nil, err
	}
	return s, nil
}

// read takes the data over as it is stored.
func (s *Session[T]) read(info sessionstore.Session) error {
	var data T
	decoder := json.NewDecoder(bytes.NewReader(info.Data))
	decoder.UseNumber() // keeps the digits where T has an any
	if err := decoder.Decode(&data); err != nil {
		return fmt.Errorf("decode the session data: %w", err)
	}
	baseline, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode the session data: %w", err)
	}
	s.Data, s.checksum, s.baseline = data, info.Checksum, baseline
	return nil
}

// Save stores the data now, if it was changed. The middleware calls it in time;
// a handler that wants to deal with [sessionstore.ErrConflict] itself calls it
// earlier.
func (s *Session[T]) Save(ctx context.Context) error {
	if s.ended {
		return nil
	}
	data, err := json.Marshal(s.Data)
	if err != nil {
		return fmt.Errorf("encode the session data: %w", err)
	}
	if bytes.Equal(data, s.baseline) {
		return nil
	}
	checksum, err := s.store.Update(ctx, s.Info.ID, s.checksum, data)
	if err != nil {
		return err
	}
	s.checksum, s.baseline = checksum, data
	return nil
}

// End revokes the session. Nothing of it is stored any more.
func (s *Session[T]) End(ctx context.Context) error {
	if err := s.store.Invalidate(ctx, s.Info.ID, sessionstore.SignedOut(s.Info.ID)); err != nil && !errors.Is(err, sessionstore.ErrNotFound) {
		return err
	}
	s.ended = true
	return nil
}

// statusClientClosedRequest is nginx's, for logs and metrics: a client that hung up
// says nothing of the service.
const statusClientClosedRequest = 499

// Error is the default answer to an error of the middleware: 401 with the
// challenge of RFC 6750 §3 for a token that is missing or no good, 409 for data
// that another request changed meanwhile, 503 for a database that does not
// answer, which says nothing about the token, 499 if the client hung up before it did,
// and 500 for the rest. Where the user has to authenticate anew it is 401 with the
// challenge of RFC 9470 §3.
//
// Where a token is bound to a key, or should be, the challenge is that of RFC
// 9449 §7.1.
func Error(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	insufficient, isInsufficient := errors.AsType[*tokens.AuthenticationError](err)
	switch code := dpop.ErrorCode(err); {
	case isInsufficient:
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", authorization.Challenge(insufficient))
	case code != "":
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", dpop.Challenge("", code))
	case errors.Is(err, ErrNoToken):
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.Header().Add("WWW-Authenticate", dpop.Challenge("", "")) // RFC 9449 §7.2
	case errors.Is(err, ErrMalformed), IsInvalidToken(err):
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	case errors.Is(err, sessionstore.ErrConflict):
		status = http.StatusConflict
	case errors.Is(err, sessionstore.ErrUnavailable), errors.Is(err, dpop.ErrUnavailable):
		status = http.StatusServiceUnavailable
		w.Header().Set("Retry-After", "1")
	}
	if status == http.StatusServiceUnavailable && errors.Is(r.Context().Err(), context.Canceled) {
		status = statusClientClosedRequest
		w.Header().Del("Retry-After")
	}
	authorization.AddMetadata(w.Header(), r)
	http.Error(w, http.StatusText(status), status)
}

// notProven makes an error of package dpop one that says of the token that it is
// no good here, as handlers of errors know it.
func notProven(err error) error {
	if dpop.ErrorCode(err) != "" {
		return fmt.Errorf("%w: %w", tokens.ErrInvalid, err)
	}
	return err
}

// IsInvalidToken tells whether an error of [sessionstore.Store.Get] says that
// the access token is no good, as invalid_token of RFC 6750 §3.1 means it.
func IsInvalidToken(err error) bool {
	for _, target := range []error{
		tokens.ErrInvalid, sessionstore.ErrEnded, sessionstore.ErrSuperseded, sessionstore.ErrNotFound,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
