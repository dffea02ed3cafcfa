package httpapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/netip"
	"regexp"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const requestIDHeader = "X-Request-Id"

// requestIDs matches the ids that a caller may choose: they go into logs and headers.
var requestIDs = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

type requestInfoKey struct{}

// requestInfo is what is noted about a request during its handling, for the log and for
// observers.
type requestInfo struct {
	id         string
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
	status     int // of the answer; 0 until there is one
}

// identify gives each request an id, the caller's if it is well-formed, and its client's
// address.
func identify(address func(*http.Request) netip.Addr) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			info := &requestInfo{id: r.Header.Get(requestIDHeader), address: address(r)}
			if info.address.IsValid() {
				info.client = info.address.String()
			}
			if !requestIDs.MatchString(info.id) {
				info.id = newRequestID()
			}
			w.Header().Set(requestIDHeader, info.id)
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestInfoKey{}, info)))
		})
	}
}

func newRequestID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return string(hex.AppendEncode(make([]byte, 0, 2*len(id)), id[:]))
}

// infoOf returns the request's notes. Outside of [identify] they are discarded.
func infoOf(r *http.Request) *requestInfo {
	if info, ok := r.Context().Value(requestInfoKey{}).(*requestInfo); ok {
		return info
	}
	return &requestInfo{}
}
