package httpapi

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// plus is a key that many clients send as it is where it would have to be encoded.
var plus = ServiceKey{Name: "plus", Secret: "+%-------------------------------", Rights: []Right{RightIntrospect}}

// keyServer has two keys, of which one may end sessions and the other may introspect tokens.
func keyServer(t *testing.T) (s *Server, log *strings.Builder) {
	t.Helper()
	log = new(strings.Builder)
	s = &Server{logger: slog.New(slog.NewTextHandler(log, nil))}
	if err := s.SetServiceKeys([]ServiceKey{key("ends", RightEnd), key("asks", RightIntrospect), plus}); err != nil {
		t.Fatal(err)
	}
	return s, log
}

// authorized is a request with these Authorization headers, whose notes are kept.
func authorized(t *testing.T, body string, values ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(&requestContext{Context: t.Context()}, http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", formType)
	r.Header["Authorization"] = values
	return r
}

// A request of the internal listener is answered only with a key that has the right, and is then that key's. Each key
// that is not known is logged.
func TestKeyed(t *testing.T) {
	t.Parallel()
	good, lacks, wrong := "Bearer "+string(key("ends").Secret), "Bearer "+string(key("asks").Secret), "Bearer "+strings.Repeat("x", 40)
	for name, test := range map[string]struct {
		values []string
		want   code
	}{
		"the key": {[]string{good}, ""}, "none": {nil, codeMissingServiceKey}, "empty": {[]string{""}, codeInvalidServiceKey}, "wrong": {[]string{wrong}, codeInvalidServiceKey},
		"without the right": {[]string{lacks}, codeMissingRight}, "twice": {[]string{good, good}, codeDuplicateParameter}, "bound": {[]string{strings.Replace(good, "Bearer", "DPoP", 1)}, codeInvalidServiceKey},
	} {
		s, log := keyServer(t)
		r, served := authorized(t, "", test.values...), false
		next := func(http.ResponseWriter, *http.Request) error {
			served = true
			return &problem{code: codeSessionEnded}
		}
		err := s.keyed(RightEnd, next)(httptest.NewRecorder(), r)
		if served && codeOf(t, err) == codeSessionEnded {
			err = nil
		} else if err == nil {
			t.Errorf("%s: the error of what it is for is missing", name)
		}
		p := asProblem(t, err)
		if p.code != test.want || served != (test.want == "") || p.code == codeDuplicateParameter && p.parameter != "Authorization" {
			t.Errorf("%s: %+v, served: %v", name, p, served)
		}
		if logged := strings.Contains(log.String(), "service key refused"); logged != (test.want == codeInvalidServiceKey) {
			t.Errorf("%s: the log has %q", name, log)
		}
		if isKnown := test.want == "" || test.want == codeMissingRight; (infoOf(r).serviceKey != "") != isKnown {
			t.Errorf("%s: it is a request of %q", name, infoOf(r).serviceKey)
		}
	}
}

// RFC 7662 §2.1: an introspection is answered for a key as bearer token, as HTTP Basic or in the form, and only one of
// them counts: the header, if there is one.
func TestIntrospecting(t *testing.T) {
	t.Parallel()
	asks, ends := string(key("asks").Secret), string(key("ends").Secret)
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	form := func(pairs ...string) string {
		var fields []string
		for i := 0; i < len(pairs); i += 2 {
			fields = append(fields, pairs[i]+"="+url.QueryEscape(pairs[i+1]))
		}
		return strings.Join(append(fields, "token=x"), "&")
	}
	for name, test := range map[string]struct {
		values []string
		body   string
		want   code
	}{
		"bearer": {[]string{"Bearer " + asks}, "token=x", ""}, "nothing": {nil, "token=x", codeMissingServiceKey}, "wrong": {[]string{"Bearer x"}, "token=x", codeInvalidServiceKey},
		"Basic": {[]string{basic("asks", asks)}, "token=x", ""}, "Basic, encoded": {[]string{basic("%61sks", strings.ReplaceAll(asks, "-", "%2D"))}, "token=x", ""},
		"Basic, another's name": {[]string{basic("ends", asks)}, "token=x", codeInvalidClient}, "Basic, wrong": {[]string{basic("asks", asks+"x")}, "token=x", codeInvalidClient},
		"Basic, without the right": {[]string{basic("ends", ends)}, "token=x", codeMissingRight}, "Basic, malformed": {[]string{"Basic %"}, "token=x", codeInvalidClient},
		"Basic, not encoded":                      {[]string{basic("plus", string(plus.Secret))}, "token=x", ""},
		"in the form, no name and a wrong secret": {nil, form("client_secret", "x"), codeInvalidClient}, "JSON": {nil, `{"client_secret":"x"}`, codeMissingServiceKey},
		"Basic twice": {[]string{basic("asks", asks), basic("asks", asks)}, "token=x", codeDuplicateParameter},
		"in the form": {nil, form("client_id", "asks", "client_secret", asks), ""}, "in the form, encoded twice": {nil, form("client_id", "asks", "client_secret", strings.ReplaceAll(asks, "-", "%2D")), codeInvalidClient},
		"in the form, another's name": {nil, form("client_id", "ends", "client_secret", asks), codeInvalidClient}, "in the form, no name": {nil, form("client_secret", asks), codeInvalidClient},
		"in the form, two secrets": {nil, form("client_id", "asks", "client_secret", asks, "client_secret", asks), codeInvalidClient},
		"in the form, two names":   {nil, form("client_id", "asks", "client_id", "asks", "client_secret", asks), codeInvalidClient},
		"in the form, and bearer":  {[]string{"Bearer x"}, form("client_id", "asks", "client_secret", asks), codeInvalidServiceKey},
		"no form":                  {nil, "client_secret=%zz", codeMissingServiceKey}, "too long": {nil, form("client_secret", strings.Repeat("x", maxFormBytes)), codeBodyTooLarge},
	} {
		s, log := keyServer(t)
		r, served := authorized(t, test.body, test.values...), ""
		if name == "JSON" {
			r.Header.Set("Content-Type", jsonType)
		}
		err := s.introspecting(func(_ http.ResponseWriter, r *http.Request) error {
			fields, err := readForm(r)
			served = fields.get("token") + " for " + infoOf(r).serviceKey
			return err
		})(httptest.NewRecorder(), r)
		got := code("")
		if err != nil {
			got = problemOf(err).code
		}
		if got != test.want || strings.HasPrefix(served, "x for ") != (test.want == "") || served != "" && test.want != "" {
			t.Errorf("%s: %v, want %q; served: %q", name, err, test.want, served)
		}
		if logged := strings.Contains(log.String(), "service key refused"); logged != (test.want == codeInvalidClient || test.want == codeInvalidServiceKey) {
			t.Errorf("%s: the log has %q", name, log)
		}
	}
}

// RFC 6750 §3, §3.1: a request without an access token is distinguished from one whose token is malformed.
func TestAccessTokenOfARequest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values        []string
		scheme, token string
		want          code
	}{
		"bearer": {[]string{"bearer a"}, "Bearer", "a", ""}, "bound": {[]string{"dpop a"}, "DPoP", "a", ""}, "none": {nil, "", "", codeMissingToken},
		"another scheme": {[]string{"Basic a"}, "", "", codeMissingToken}, "malformed": {[]string{"Bearer a b"}, "", "", codeInvalidToken}, "bound, and malformed": {[]string{"DPoP"}, "", "", codeInvalidToken},
		"twice": {[]string{"Bearer a", "Bearer a"}, "", "", codeDuplicateParameter}, "another scheme twice": {[]string{"Basic a", "Basic a"}, "", "", codeDuplicateParameter},
	} {
		scheme, token, err := accessToken(authorized(t, "", test.values...))
		p := asProblem(t, err)
		if scheme != test.scheme || token != test.token || p.code != test.want || (p.reason == "malformed") != (p.code == codeInvalidToken) || (p.parameter == "Authorization") != (p.code == codeDuplicateParameter) {
			t.Errorf("%s: %q %q, %+v", name, scheme, token, p)
		}
	}
}
