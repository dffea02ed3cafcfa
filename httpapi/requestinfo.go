package httpapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"sync"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const requestIDHeader = "X-Request-Id"

// requestIDs matches the ids that a caller may choose: they go into logs and headers.
var requestIDs = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

type requestInfoKey struct{}

// requestContext is the context of a request with what is noted about it and its route, in one
// place: a chain of contexts would be one allocation for each, and a copy of the request.
type requestContext struct {
	context.Context

	info  requestInfo
	route *chi.Context
}

// Value implements [context.Context].
func (c *requestContext) Value(key any) any {
	switch key {
	case requestInfoKey{}:
		return &c.info
	case chi.RouteCtxKey:
		return c.route
	}
	return c.Context.Value(key)
}

// String keeps the notes out of what is printed of a context.
func (c *requestContext) String() string { return "httpapi's context of a request" }

// routes are the state of chi's routers, which can be reused for one request after another.
var routes = sync.Pool{New: func() any { return chi.NewRouteContext() }}

// requestInfo is what is noted about a request during its handling, for the log and for
// observers.
type requestInfo struct {
	id         string
	header     [1]string  // the id as an answer's header has it
	address    netip.Addr // the client's, without port and zone; not valid if a trusted proxy gave no readable one
	client     string     // the same as text, empty if it is not valid
	serviceKey string     // name of the key that was accepted
	rights     []Right    // of that key
	keyDigest  [sha256.Size]byte
	session    uuid.UUID     // of the access token that was accepted, if the request may change something
	actor      *tokens.Actor // who acts for the subject with that token; nil for none
	outcome    string        // of a refresh
	refusal    string        // why an introspected token is not active
	problem    *problem
	answer     answerWriter
}

// identify gives each request an id, the caller's if it is well-formed, and its client's
// address.
func identify(address func(*http.Request) (netip.Addr, string)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			info := infoOf(r)
			info.address, info.client = address(r)
			if info.id = r.Header.Get(requestIDHeader); !requestIDs.MatchString(info.id) {
				info.id = newRequestID()
			}
			info.header[0] = info.id
			w.Header()[requestIDHeader] = info.header[:]
			next.ServeHTTP(w, r)
		})
	}
}

func newRequestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return string(hex.AppendEncode(make([]byte, 0, 2*len(id)), id[:]))
}

// infoOf returns the request's notes. Outside of [anywhere] they are discarded.
func infoOf(r *http.Request) *requestInfo {
	if info, ok := r.Context().Value(requestInfoKey{}).(*requestInfo); ok {
		return info
	}
	return &requestInfo{}
}

// methods are those that a log line may contain: any other is caller-chosen text.
var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
	http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

func methodOf(r *http.Request) string {
	if slices.Contains(methods, r.Method) {
		return r.Method
	}
	return "other"
}

// routeOf returns the pattern of the route that answered.
func routeOf(r *http.Request) string {
	if pattern := chi.RouteContext(r.Context()).RoutePattern(); pattern != "" {
		return pattern
	}
	return "none"
}
