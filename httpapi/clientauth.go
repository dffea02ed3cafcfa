package httpapi

import (
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// clientFields are the form fields with which a client names itself or proves
// who it is (RFC 6749 §2.3.1, RFC 7521 §4.2).
var clientFields = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}

var (
	errNotBasic  = errors.New("no Basic credentials")
	errManyBasic = errors.New("more than one Authorization header")
	errBadBasic  = errors.New("malformed Basic credentials")
)

// checkClient checks the client's part of a request for or about a token, and returns the
// id of a client that names itself. All clients are public: they have an id and no secret.
// A client need not name itself (RFC 6749 §3.2.1), but if it does, it must use its id: in
// the form, or as the user of HTTP Basic with an empty password, which is how some
// libraries name a client without a secret. A secret is not accepted, since none was ever
// issued.
//
// An Authorization header of another scheme is not client authentication and is
// ignored: apps add their bearer token to each request they send.
func (s *Server) checkClient(r *http.Request, fields formFields) (string, error) {
	id, secret, err := basicCredentials(r)
	basic := !errors.Is(err, errNotBasic)
	named := newName(fields.get("client_id"))
	if basic {
		named = id
	}
	client, known := s.clientOf(named)
	switch {
	case errors.Is(err, errManyBasic):
		return "", invalidParameter("Authorization", "It is there more than once.")
	case basic && (err != nil || secret.raw != "" || !known):
		return "", &problem{code: codeInvalidClient, reason: "unknown_client"} // 401: RFC 6749 §5.2
	case basic && fields.get("client_id") != "" && !id.is(fields.get("client_id")):
		return "", invalidParameter("client_id", "The Authorization header names another client.")
	case fields.get("client_secret") != "" || fields.get("client_assertion") != "" || fields.get("client_assertion_type") != "":
		return "", &problem{code: codeUnknownClient, detail: "It has no secret and signs no assertions.", reason: "client_secret"}
	case !known:
		return "", &problem{code: codeUnknownClient, reason: "unknown_client"}
	}
	return client, nil
}

// clientOf returns the client's id; empty if the client is not named, or if any name is
// accepted.
func (s *Server) clientOf(name credential) (id string, known bool) {
	if s.cfg.ClientID == "" || name.raw == "" {
		return "", true
	}
	for _, id := range s.clientIDs {
		if name.is(id) || name.is(s.cfg.ClientID) { // which names the first one
			return id, true
		}
	}
	return "", false
}

// introspecting answers callers with a service key: as a bearer token or, since
// resource servers support nothing else, its name and secret as the user
// and password of HTTP Basic, or as client_id and client_secret in the form (RFC 7662
// §2.1, RFC 6749 §2.3.1).
func (s *Server) introspecting(next handler) handler {
	keyed := s.keyed(RightIntrospect, next)
	next = permitted(RightIntrospect, next)
	return func(w http.ResponseWriter, r *http.Request) error {
		id, secret, err := basicCredentials(r)
		if errors.Is(err, errNotBasic) && len(r.Header.Values("Authorization")) == 0 {
			id, secret, err = credentialsInForm(r)
		}
		switch {
		case errors.Is(err, errNotBasic), errors.Is(err, errManyBasic):
			return keyed(w, r)
		case err != nil && !errors.Is(err, errBadBasic):
			return err // the form did not arrive: nothing is wrong with what it may have held
		}
		key, known := s.serviceKey(secret.decoded)
		if !known {
			key, known = s.serviceKey(secret.raw)
		}
		if err != nil || !known || !id.is(key.name) {
			s.logger.LogAttrs(r.Context(), slog.LevelWarn, "service key refused",
				slog.String("route", routeOf(r)), slog.String("client", infoOf(r).client), slog.String("request_id", infoOf(r).id))
			return &problem{code: codeInvalidClient}
		}
		key.note(r)
		return next(w, r)
	}
}

// credentialsInForm reads client_secret_post, and leaves the body readable again. It returns
// errNotBasic for anything but a form with a secret, which the next handler judges. A
// form that cannot be read is an error of [readFormText].
func credentialsInForm(r *http.Request) (id, secret credential, err error) {
	if !hasMediaType(r.Header, formType) {
		return id, secret, errNotBasic
	}
	body, err := readFormText(r)
	if err != nil {
		return id, secret, err
	}
	r.Body = io.NopCloser(strings.NewReader(body))
	fields, err := parseForm(body)
	if err != nil || fields.get("client_secret") == "" {
		return id, secret, errNotBasic
	}
	if fields.isRepeated("client_id") || fields.isRepeated("client_secret") {
		return id, secret, errBadBasic
	}
	return newName(fields.get("client_id")), newName(fields.get("client_secret")), nil
}

// credential is one half of HTTP Basic: as sent, and decoded as a form field. RFC
// 6749 §2.3.1 requires the latter, and many clients ignore it.
type credential struct{ raw, decoded string }

func (c credential) is(want string) bool { return c.raw == want || c.decoded == want }

// newName is a name or a secret as it appears in a form, which is already decoded.
func newName(name string) credential { return credential{name, name} }

func newCredential(raw string) credential {
	decoded, _ := url.QueryUnescape(raw) // empty for what cannot be decoded, which nothing is called
	return credential{raw, decoded}
}

// basicCredentials reads HTTP Basic (RFC 7617 §2). It returns errNotBasic for a
// request without an Authorization header or with one of another scheme.
func basicCredentials(r *http.Request) (id, secret credential, err error) {
	values := r.Header.Values("Authorization")
	if len(values) == 0 {
		return id, secret, errNotBasic
	}
	scheme, encoded, _ := strings.Cut(values[0], " ")
	switch {
	case len(values) > 1:
		return id, secret, errManyBasic
	case !strings.EqualFold(scheme, "Basic"):
		return id, secret, errNotBasic
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	user, password, found := strings.Cut(string(text), ":")
	if err != nil || !found || user == "" || !utf8.Valid(text) {
		return id, secret, errBadBasic
	}
	return newCredential(user), newCredential(password), nil
}
