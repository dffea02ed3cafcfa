package httpapi

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// withHeader is a request that has a header this many times.
func withHeader(t *testing.T, name string, values ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	r.Header[name] = values
	return r
}

// codeOf is the code of a problem; empty for no error.
func codeOf(t *testing.T, err error) code {
	t.Helper()
	if err == nil {
		return ""
	}
	var p *problem
	if !errors.As(err, &p) {
		t.Fatalf("%v is not a problem", err)
	}
	return p.code
}

// RFC 9110 §13.1.1: one strong ETag of visible ASCII.
func TestIfMatch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values []string
		want   string // empty for refused
	}{
		"one":                  {[]string{`"abc"`}, "abc"},
		"one character":        {[]string{`"a"`}, "a"},
		"the first that is":    {[]string{`"!"`}, "!"},
		"the last that is":     {[]string{`"~"`}, "~"},
		"two headers":          {[]string{`"abc"`, `"abc"`}, ""},
		"a list":               {[]string{`"a", "b"`}, ""},
		"weak":                 {[]string{`W/"abc"`}, ""},
		"any":                  {[]string{`*`}, ""},
		"empty":                {[]string{`""`}, ""},
		"a lone quote":         {[]string{`"`}, ""},
		"no quotes":            {[]string{`abc`}, ""},
		"not closed":           {[]string{`"abc`}, ""},
		"not opened":           {[]string{`abc"`}, ""},
		"a quote within":       {[]string{`"a"b"`}, ""},
		"a space within":       {[]string{`"a b"`}, ""},
		"a control character":  {[]string{"\"a\x1f\""}, ""},
		"a delete character":   {[]string{"\"a\x7f\""}, ""},
		"a character of UTF-8": {[]string{`"é"`}, ""},
		"not UTF-8":            {[]string{"\"\xff\""}, ""},
	} {
		got, err := ifMatch(withHeader(t, "If-Match", test.values...))
		if got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	_, err := ifMatch(withHeader(t, "If-Match"))
	if p := asProblem(t, err); p.code != codePreconditionRequired || p.detail != "Send the ETag of the data that you read." {
		t.Errorf("none: %+v", p)
	}
}

// RFC 9110 §13.1.2: the comparison is weak, and there may be several.
func TestIfNoneMatch(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values []string
		want   bool
	}{
		"none":                   {nil, false},
		"it":                     {[]string{`"abc"`}, true},
		"another":                {[]string{`"abd"`}, false},
		"weak":                   {[]string{`W/"abc"`}, true},
		"any":                    {[]string{`*`}, true},
		"the first of a list":    {[]string{`"abc","x"`}, true},
		"the last of a list":     {[]string{`"x" , W/"y",	"abc"`}, true},
		"in a second header":     {[]string{`"x"`, `"abc"`}, true},
		"in none of the headers": {[]string{`"x"`, `"y"`}, false},
		"without its quotes":     {[]string{`abc`}, false},
		"empty":                  {[]string{``}, false},
	} {
		if got := ifNoneMatch(withHeader(t, "If-None-Match", test.values...), `"abc"`); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A client without a secret proves itself by none: each way to try is refused alone.
func TestClientCredentials(t *testing.T) {
	t.Parallel()
	s := &Server{cfg: Config{ClientID: "latchkey"}, clientIDs: []string{"latchkey"}}
	basic := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, test := range map[string]struct {
		authorization []string
		fields        formFields
		want          code
	}{
		"nothing":                        {nil, nil, ""},
		"its id":                         {nil, formFields{{"client_id", "latchkey"}}, ""},
		"empty fields":                   {nil, formFields{{"client_id", ""}, {"client_secret", ""}, {"client_assertion", ""}, {"client_assertion_type", ""}}, ""},
		"another id":                     {nil, formFields{{"client_id", "spa"}}, codeUnknownClient},
		"a secret":                       {nil, formFields{{"client_secret", "x"}}, codeUnknownClient},
		"an assertion":                   {nil, formFields{{"client_assertion", "x"}}, codeUnknownClient},
		"the type of one":                {nil, formFields{{"client_assertion_type", "x"}}, codeUnknownClient},
		"Basic, its id":                  {[]string{basic("latchkey:")}, nil, ""},
		"Basic, its id in both":          {[]string{basic("latchkey:")}, formFields{{"client_id", "latchkey"}}, ""},
		"Basic, encoded and in both":     {[]string{basic("%6Catchkey:")}, formFields{{"client_id", "latchkey"}}, ""},
		"Basic, another id":              {[]string{basic("spa:")}, nil, codeInvalidClient},
		"Basic, a password":              {[]string{basic("latchkey:x")}, nil, codeInvalidClient},
		"Basic, malformed":               {[]string{"Basic %"}, nil, codeInvalidClient},
		"Basic, no colon":                {[]string{basic("latchkey")}, nil, codeInvalidClient},
		"Basic, no user":                 {[]string{basic(":")}, nil, codeInvalidClient},
		"Basic, not UTF-8":               {[]string{basic("\xff:")}, nil, codeInvalidClient},
		"Basic, and another in the form": {[]string{basic("latchkey:")}, formFields{{"client_id", "spa"}}, codeInvalidParameter},
		"Basic, and a secret":            {[]string{basic("latchkey:")}, formFields{{"client_secret", "x"}}, codeUnknownClient},
		"two headers":                    {[]string{basic("latchkey:"), basic("latchkey:")}, nil, codeInvalidParameter},
		"another scheme":                 {[]string{"Bearer x"}, nil, ""},
	} {
		_, err := s.checkClient(withHeader(t, "Authorization", test.authorization...), test.fields)
		p, reason, detail := asProblem(t, err), "", ""
		if test.want == codeInvalidClient || test.want == codeUnknownClient {
			reason = "unknown_client"
		}
		if test.want == codeUnknownClient && name != "another id" {
			reason, detail = "client_secret", "It has no secret and signs no assertions."
		}
		if p.code != test.want || p.reason != reason || p.code != codeInvalidParameter && p.detail != detail {
			t.Errorf("%s: %+v, want %q", name, p, test.want)
		}
	}
	// Many clients send their id in HTTP Basic as it is; RFC 6749 §2.3.1 has it encoded.
	s = &Server{cfg: Config{ClientID: "latchkey"}, clientIDs: []string{"a+b%"}}
	for text, want := range map[string]code{"a+b%:": "", "a%2Bb%25:": "", "a b%:": codeInvalidClient} {
		if _, err := s.checkClient(withHeader(t, "Authorization", basic(text)), nil); codeOf(t, err) != want {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

// Where any name is taken, it still has to be one.
func TestBasicNamesAreText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]code{"anything:": "", "\xff:": codeInvalidClient} {
		r := withHeader(t, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(text)))
		if _, err := new(Server).checkClient(r, nil); codeOf(t, err) != want {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// The first client has a name in addition to its id; a service that names none
// takes any.
func TestClientsByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"latchkey": "first", "first": "first", "second": "second", "third": "", "": ""} {
		s := &Server{cfg: Config{ClientID: "latchkey"}, clientIDs: []string{"first", "second"}}
		id, known := s.clientOf(newName(name))
		if id != want || known != (want != "" || name == "") {
			t.Errorf("%q is %q, %v", name, id, known)
		}
		s.cfg.ClientID = ""
		if id, known := s.clientOf(newName(name)); id != "" || !known {
			t.Errorf("%q is %q, %v where there are no names", name, id, known)
		}
	}
}

// Tokens of Compas do not name their session: each is counted for itself.
func TestEachTokenOfCompasHasItsOwnRequests(t *testing.T) {
	t.Parallel()
	limit, err := newRateLimit[uuid.UUID]("session", 1, memoryInTests)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{sessionRate: limit}
	s.StopRateClock()
	take := func(claims tokens.Claims) code { return codeOf(t, s.count(httptest.NewRecorder(), claims)) }
	session, first, second := uuid.New(), uuid.New(), uuid.New()
	for _, step := range []struct {
		claims tokens.Claims
		want   code
	}{
		{tokens.Claims{TokenID: first}, ""},
		{tokens.Claims{TokenID: second}, ""},
		{tokens.Claims{TokenID: first}, codeRateLimited},
		{tokens.Claims{SessionID: session, TokenID: uuid.New()}, ""},
		{tokens.Claims{SessionID: session, TokenID: uuid.New()}, codeRateLimited}, // ours are counted by session
	} {
		if got := take(step.claims); got != step.want {
			t.Errorf("%v: %q, want %q", step.claims, got, step.want)
		}
	}
}
