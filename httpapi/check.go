package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// checkPath is where gateways ask about a request's access token.
	checkPath = "/v1/check"
	// clientPath precedes the path that a gateway's own client requested.
	clientPath = checkPath + "/path"
	// requirePath precedes what a gateway requires of the token. That is in the path
	// because the gateway writes the beginning of the path: query and headers may be
	// its client's.
	requirePath = checkPath + "/require"
)

// The headers that identify the caller to a gateway and to the services behind it.
const (
	subjectHeader = "Latchkey-Subject"
	sessionHeader = "Latchkey-Session"
	clientHeader  = "Latchkey-Client"
	scopeHeader   = "Latchkey-Scope"
)

// asCheck makes one route answer every request at [checkPath] and below it, whatever
// its method: gateways pass on what their clients sent. An unknown method
// counts as GET.
func asCheck(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isCheck(r) {
			next.ServeHTTP(w, r)
			return
		}
		route := chi.RouteContext(r.Context())
		route.RoutePath, route.RouteMethod = checkPath, http.MethodGet
		if !slices.Contains(methods, r.Method) {
			r = r.WithContext(r.Context())
			r.Method = http.MethodGet
		}
		if r.Method == http.MethodOptions {
			setIdentity(w.Header(), identity{}) // in case of a preflight, which is answered without a token
		}
		if r.ContentLength != 0 {
			// Some gateways announce their client's body and do not send it: do not wait for it.
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

func isCheck(r *http.Request) bool {
	return isBelow(r.URL.EscapedPath(), checkPath)
}

// check answers a gateway that asks whether a request may pass. It is strict, and has
// the same effect as any other use of a token: a gateway asks because a client uses
// it.
func (s *Server) check(w http.ResponseWriter, r *http.Request) error {
	wanted, err := parseRequirements(r.URL.EscapedPath())
	if err != nil {
		return err
	}
	session, claims, err := s.strict(w, r, wanted.check)
	if err != nil {
		return err
	}
	setIdentity(w.Header(), identity{subject: claims.Subject, session: session.ID.String(), client: claims.ClientID, scope: claims.Scope()})
	w.Header().Set("Cache-Control", noStore)
	w.WriteHeader(http.StatusOK)
	return nil
}

// requirements are what a gateway requires of a token in addition to its validity.
type requirements struct{ scopes, audiences []string }

// parseRequirements reads the path segment after [requirePath]; the segments after that
// are the client's. Only the three paths above are known, each in exactly one spelling:
// anything else that a gateway sends, or that a server in front of it has rewritten, must not let everyone through.
func parseRequirements(path string) (requirements, error) {
	if path == checkPath || path == checkPath+"/" || isBelow(path, clientPath) {
		return requirements{}, nil
	}
	if !isBelow(path, requirePath) {
		return requirements{}, invalidParameter("require", "Ask at "+checkPath+", below "+requirePath+"/ or, with the path of your client, below "+clientPath+", in just this spelling.")
	}
	rest := strings.TrimPrefix(path, requirePath)
	text, behind, _ := strings.Cut(strings.TrimPrefix(rest, "/"), "/")
	values, err := url.ParseQuery(text)
	if err != nil || len(values) == 0 {
		return requirements{}, invalidParameter("require", "It must be such as scope=orders:read&audience=orders, with percent-encoded values.")
	}
	var wanted requirements
	for name, all := range values {
		for _, value := range all {
			words := strings.Fields(value)
			switch {
			case name != "scope" && name != "audience":
				return requirements{}, &problem{code: codeUnknownParameter, parameter: cut(strings.ToValidUTF8(name, "�"))}
			case len(words) == 0:
				return requirements{}, invalidParameter(name, "It is empty.")
			case strings.HasSuffix(value, ":") && strings.HasPrefix(behind, "/"):
				return requirements{}, invalidParameter(name, "A URL's slashes must be percent-encoded, as in https:%2F%2Forders.example.")
			case name == "scope":
				wanted.scopes = append(wanted.scopes, words...)
			default:
				wanted.audiences = append(wanted.audiences, value)
			}
		}
	}
	return wanted, nil
}

func isBelow(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

func (q requirements) check(claims tokens.Claims) error {
	granted := strings.Fields(claims.Scope())
	for _, scope := range q.scopes {
		if !slices.Contains(granted, scope) {
			return &problem{code: codeInsufficientScope}
		}
	}
	for _, audience := range q.audiences {
		if !slices.Contains(tokens.Audiences(claims.Audience), audience) {
			return &problem{code: codeWrongAudience}
		}
	}
	return nil
}

// identity is what a check reveals about the request's token.
type identity struct{ subject, session, client, scope string }

// setIdentity sets all headers, including those that are empty: a gateway that copies
// them then overwrites what its client may have forged.
func setIdentity(h http.Header, of identity) {
	h.Set(subjectHeader, headerText(of.subject))
	h.Set(sessionHeader, of.session)
	h.Set(clientHeader, headerText(of.client))
	h.Set(scopeHeader, of.scope) // RFC 6749 §3.3 leaves nothing to encode
}

// headerText percent-encodes everything that is not visible ASCII, the percent sign
// itself, the comma, at which lists are split, and the plus sign, which decoders of
// forms take for a space.
func headerText(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ', c > '~', c == '%', c == ',', c == '+':
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}
