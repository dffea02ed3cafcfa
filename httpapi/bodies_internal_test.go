package httpapi

import (
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// asProblem is the problem that an error is; the zero one for no error.
func asProblem(t *testing.T, err error) problem {
	t.Helper()
	var p *problem
	if err == nil {
		return problem{}
	}
	if !errors.As(err, &p) {
		t.Fatalf("%v is not a problem", err)
	}
	return *p
}

// A body is read as its headers declare it, if the route accepts that.
func TestBody(t *testing.T) {
	t.Parallel()
	const media, encoding = "Content-Type", "Content-Encoding"
	for name, test := range map[string]struct {
		header http.Header
		want   code
	}{
		"JSON":                     {http.Header{media: {"application/json"}}, ""},
		"JSON in UTF-8":            {http.Header{media: {"application/JSON; charset=UTF-8"}}, ""},
		"JSON of a version":        {http.Header{media: {"application/json; version=1"}}, ""},
		"JSON in another charset":  {http.Header{media: {"application/json; charset=latin1"}}, codeUnsupportedMediaType},
		"JSON twice":               {http.Header{media: {"application/json", "application/json"}}, codeUnsupportedMediaType},
		"something else":           {http.Header{media: {"text/plain"}}, codeUnsupportedMediaType},
		"no media type":            {http.Header{media: {"application/json; ="}}, codeUnsupportedMediaType},
		"nothing":                  {http.Header{}, codeUnsupportedMediaType},
		"not encoded":              {http.Header{media: {"application/json"}, encoding: {"Identity"}}, ""},
		"encoded":                  {http.Header{media: {"application/json"}, encoding: {"gzip"}}, codeUnsupportedMediaType},
		"encoded, said to be none": {http.Header{media: {"application/json"}, encoding: {""}}, ""},
	} {
		r := post(t, "", []byte(`{}`))
		r.Header = test.header
		body, err := readJSON(r, 2)
		p := asProblem(t, err)
		said := strings.Contains(p.detail, "must be application/json.") || strings.Contains(p.detail, "not have a Content-Encoding")
		if p.code != test.want || (string(body) == `{}`) != (test.want == "") || said != (test.want != "") {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}

	r := post(t, jsonType, []byte(`{} `))
	if _, err := readJSON(r, 2); asTooLarge(err) == nil {
		t.Errorf("a byte more than the limit: %v", err)
	}
	r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", iotest.ErrReader(errors.New("malformed chunked encoding")))
	r.Header.Set("Content-Type", jsonType)
	if _, err := readJSON(r, 2); codeOf(t, err) != codeMalformedBody {
		t.Errorf("it cannot be read: %v", err)
	}
}

// A body that is not read is not parsed.
func TestBodiesAreReadBeforeTheyAreParsed(t *testing.T) {
	t.Parallel()
	for mediaType, want := range map[string]code{jsonType: codeBodyTooLarge, formType: codeUnsupportedMediaType} {
		_, err := decodeJSON[newSession](post(t, mediaType, []byte(`{"subject":"ann"}`)), 9)
		_, described := decodeDescribed[newSession](post(t, mediaType, []byte(`{"subject":"ann"}`)), 9)
		if got := problemOf(err); got.code != want || problemOf(described).code != want {
			t.Errorf("%s: %v, %v, want %s", mediaType, err, described, want)
		}
	}
}

// An error names the type that a member must have.
func TestWanted(t *testing.T) {
	t.Parallel()
	for want, types := range map[string][]reflect.Type{
		"a string": {reflect.TypeFor[string](), reflect.TypeFor[described]()}, "a whole number": {reflect.TypeFor[int64]()}, "true or false": {reflect.TypeFor[bool]()},
		"an array of whole numbers": {reflect.TypeFor[[]int64]()}, "an array of strings": {reflect.TypeFor[[]string]()},
		"an object": {reflect.TypeFor[newActor](), reflect.TypeFor[*newActor]()}, "of another type": {nil},
	} {
		for _, of := range types {
			if got := wanted(of); got != want {
				t.Errorf("%v: %q, want %q", of, got, want)
			}
		}
	}
}

// A number of seconds is passed to the store or, where no lifetime can have it, what the store refuses. 0 means
// something for refresh tokens only.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	const most = int64(sessionstore.MaxLifetime / time.Second)
	for seconds, want := range map[int64]time.Duration{
		math.MinInt64: noLifetime, -1: noLifetime, 0: noLifetime, 1: time.Second, most: sessionstore.MaxLifetime, most + 1: noLifetime, math.MaxInt64: noLifetime,
	} {
		got := newLifetimes{&seconds, &seconds, &seconds}.lifetimes()
		refresh := want
		if seconds == 0 {
			refresh = sessionstore.NoIdleTimeout
		}
		if got != (sessionstore.Lifetimes{AccessToken: want, RefreshToken: refresh, Session: want}) {
			t.Errorf("%d s: %+v, want %v", seconds, got, want)
		}
	}
	if got := (newLifetimes{}).lifetimes(); got != (sessionstore.Lifetimes{}) {
		t.Errorf("none: %+v", got)
	}
}

// A change has what its body says, and nothing else.
func TestSessionPatches(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]sessionstore.Patch{
		`{}`: {}, `{"client":{"label":null}}`: {},
		`{"client":{"label":""}}`:                   {Label: new("")},
		`{"client":{"label":"a"},"session_ttl":60}`: {Label: new("a"), Lifetimes: sessionstore.Lifetimes{Session: time.Minute}},
	} {
		parsed, err := parseDescribed[sessionPatch]([]byte(body))
		if diff := cmp.Diff(want, parsed.params()); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", body, err, diff)
		}
	}
}

func asTooLarge(err error) *http.MaxBytesError {
	e, _ := errors.AsType[*http.MaxBytesError](err)
	return e
}

func TestFormFields(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]struct {
		a, b string
		problem
	}{
		"a=1&b=2&c=3&c=4": {a: "1", b: "2"},
		"a=1":             {a: "1"},
		"a=&b=2":          {b: "2"},
		"b=1&b=":          {problem: problem{code: codeDuplicateParameter, parameter: "b"}},
		"a=%zz":           {problem: problem{code: codeMalformedBody, detail: "It is not a well-formed form."}},
		"%zz=1&a=1":       {problem: problem{code: codeMalformedBody, detail: "It is not a well-formed form."}},
		"a=1;b=2":         {problem: problem{code: codeMalformedBody, detail: "It is not a well-formed form."}},
		"a=%31&&%62=2+&":  {a: "1", b: "2 "},
	} {
		r := post(t, formType, []byte(body))
		fields, err := decodeForm(r, "a", "b")
		if fields.get("a") != want.a || fields.get("b") != want.b || asProblem(t, err) != want.problem {
			t.Errorf("%s: %v %v", body, err, fields)
		}
		value, missing := requiredField(fields, "a")
		if p := asProblem(t, missing); value != want.a || (p.parameter == "a" && p.detail != "") != (want.a == "") {
			t.Errorf("%s, required: %q, %+v", body, value, p)
		}
	}
	longest := "a=" + strings.Repeat("x", maxFormBytes-2)
	if fields, err := decodeForm(post(t, formType, []byte(longest)), "a"); err != nil || fields.get("a") != longest[2:] {
		t.Errorf("the longest: %v", err)
	}
	if _, err := decodeForm(post(t, formType, []byte(longest+"x")), "a"); asTooLarge(err) == nil {
		t.Errorf("a byte more: %v", err)
	}
	r := post(t, jsonType, []byte("a=1"))
	if _, err := decodeForm(r, "a"); codeOf(t, err) != codeUnsupportedMediaType {
		t.Errorf("not a form: %v", err)
	}
}

// The request in a body is passed to the store unchanged.
func TestNewSession(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]sessionstore.CreateParams{
		`{}`: {},
		`{"subject":"ann","client_id":"app","data":{"n":1.50},"claims":{"role":"editor"},"dpop_jkt":"x"}`: {
			Subject: "ann", ClientID: "app", Data: []byte(`{"n":1.50}`), Claims: []byte(`{"role":"editor"}`), KeyThumbprint: "x",
		},
		`{"client":{"label":"a","user_agent":"b","ip":null}}`:    {Client: sessionstore.Client{Label: "a", UserAgent: "b"}},
		`{"client":{"ip":"::1"}}`:                                {Client: sessionstore.Client{IP: "::1"}},
		"{\"subject\":\"ann\",\"client\":{\"label\":\"a\xff\"}}": {Subject: "ann", Client: sessionstore.Client{Label: "a\ufffd"}},
		`{"client":{"label":"\ud83d"},"subject":"ann"}`:          {Subject: "ann", Client: sessionstore.Client{Label: "\ufffd"}},
		`{"refresh_token":false}`:                                {NoRefresh: true},
		`{"refresh_token":true}`:                                 {},
		`{"auth_time":0}`:                                        {Authentication: &tokens.Authentication{AuthTime: time.Unix(0, 0)}},
		`{"acr":"gold"}`:                                         {Authentication: &tokens.Authentication{ACR: "gold"}},
		`{"amr":["pwd","otp"]}`:                                  {Authentication: &tokens.Authentication{AMR: []string{"pwd", "otp"}}},
		`{"act":{"sub":"support-7"}}`:                            {Actor: &tokens.Actor{Subject: "support-7"}},
		`{"act":{"sub":"a","iss":"https://a.example","act":{"sub":"b"}}}`: {
			Actor: &tokens.Actor{Subject: "a", Issuer: "https://a.example", Actor: &tokens.Actor{Subject: "b"}},
		},
		`{"access_token_ttl":1,"session_ttl":1}`: {Lifetimes: sessionstore.Lifetimes{AccessToken: time.Second, Session: time.Second}},
		`{"session_ttl":2147483647}`:             {Lifetimes: sessionstore.Lifetimes{Session: sessionstore.MaxLifetime}},
		`{"refresh_token_ttl":0}`:                {Lifetimes: sessionstore.Lifetimes{RefreshToken: sessionstore.NoIdleTimeout}},
		`{"refresh_token_ttl":600}`:              {Lifetimes: sessionstore.Lifetimes{RefreshToken: 10 * time.Minute}},
	} {
		parsed, err := parseDescribed[newSession]([]byte(body))
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		got, err := parsed.params()
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", body, err, diff)
		}
	}

	const null, empty = "It is null.", "It is empty."
	for body, want := range map[string]problem{ // the detail as it begins or ends
		"{\"subject\":\"\xff\"}":               {code: codeMalformedBody, detail: "UTF-8."},
		"{\"subject\":\"\xff\",\"client\":{}}": {code: codeMalformedBody, detail: "UTF-8."},
		"[\"client\",\"\xff\"]":                {code: codeMalformedBody, detail: "UTF-8."},
		`{"subject":"ann"} x`:                  {code: codeMalformedBody, detail: "see byte 18."},
		`{"data":{"a":1,"a":2}}`:               {code: codeDuplicateMember, pointer: "/data/a"},
		`{"data":{"a":}}`:                      {code: codeMalformedBody, pointer: "/data/a", detail: "see byte 13."},
		`{"sub":"ann"}`:                        {code: codeUnknownMember, pointer: "/sub"},
		`{"subject":null}`:                     {code: codeInvalidMember, pointer: "/subject", detail: null},
		`{"subject":1}`:                        {code: codeInvalidMember, pointer: "/subject", detail: "It must be a string."},
		`{"session_ttl":"1"}`:                  {code: codeInvalidMember, pointer: "/session_ttl", detail: "It must be a whole number."},
		`{"session_ttl":9223372036854775808}`:  {code: codeInvalidMember, pointer: "/session_ttl", detail: "It must be a whole number that fits into 64 bits."},
		`{"refresh_token":1}`:                  {code: codeInvalidMember, pointer: "/refresh_token", detail: "It must be true or false."},
		`{"amr":"pwd"}`:                        {code: codeInvalidMember, pointer: "/amr", detail: "It must be an array of strings."},
		`{"act":"ann"}`:                        {code: codeInvalidMember, pointer: "/act", detail: "It must be an object."},
		`{"act":{"sub":"a","iss":""}}`:         {code: codeInvalidMember, pointer: "/act/iss", detail: empty},
		`{"act":{"act":{"iss":""}}}`:           {code: codeInvalidMember, pointer: "/act/act/iss", detail: empty},
		`{"subject":""}`:                       {code: codeInvalidMember, pointer: "/subject", detail: empty},
		`{"client_id":""}`:                     {code: codeInvalidMember, pointer: "/client_id", detail: empty},
		`{"dpop_jkt":""}`:                      {code: codeInvalidMember, pointer: "/dpop_jkt", detail: empty},
		`{"acr":""}`:                           {code: codeInvalidMember, pointer: "/acr", detail: empty},
		`{"amr":[]}`:                           {code: codeInvalidMember, pointer: "/amr", detail: empty},
		`{"auth_time":-1}`:                     {code: codeInvalidMember, pointer: "/auth_time", detail: "It must not be negative"},
		`{"client":{"label":["a"]}}`:           {code: codeInvalidMember, pointer: "/client/label", detail: "It must be a string."},
	} {
		parsed, err := parseDescribed[newSession]([]byte(body))
		if err == nil {
			_, err = parsed.params()
		}
		got := asProblem(t, err)
		if !strings.Contains(got.detail, want.detail) || got.code != want.code || got.pointer != want.pointer {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	type result struct {
		sessionstore.ListParams
		wait time.Duration
		problem
	}
	invalid := func(name, detail string) result { return result{problem: *invalidParameter(name, detail)} }
	const (
		noLimit = "It must be a whole number above 0."
		noWait  = "It must be a number of seconds up to 30."
	)
	for query, want := range map[string]result{
		"":                       {},
		"limit=1&cursor=x":       {ListParams: sessionstore.ListParams{Limit: 1, Cursor: "x"}},
		"limit=0":                invalid("limit", noLimit),
		"limit=x":                invalid("limit", noLimit),
		"wait=30":                {wait: 30 * time.Second},
		"wait=31":                invalid("wait", noWait),
		"wait=256":               invalid("wait", noWait),
		"wait=x":                 invalid("wait", noWait),
		"wait=":                  invalid("wait", "It is empty."),
		"cursor=%ff":             invalid("cursor", "It is not valid UTF-8."),
		"cursor=x&cursor=x":      {problem: problem{code: codeDuplicateParameter, parameter: "cursor"}},
		"Limit=1":                {problem: problem{code: codeUnknownParameter, parameter: "Limit"}},
		"access_token=x":         {problem: problem{code: codeTokenInQuery, parameter: "access_token", detail: "Send it in the Authorization header or in the body."}},
		"limit=%zz":              {problem: problem{code: codeInvalidParameter, detail: "The query string is not well-formed."}},
		strings.Repeat("x", 200): {problem: problem{code: codeUnknownParameter, parameter: strings.Repeat("x", 200)}},
		strings.Repeat("x", 201): {problem: problem{code: codeUnknownParameter, parameter: strings.Repeat("x", 200) + "…"}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?"+query, http.NoBody)
		var got result
		err := checkQuery(r, []string{"limit", "cursor", "wait"})
		if err == nil {
			got.ListParams, err = listParams(r)
		}
		if err == nil {
			got.wait, err = revocationWait(r)
		}
		if got.problem = asProblem(t, err); got != want && (want.problem == problem{} || got.problem != want.problem) {
			t.Errorf("%s: %+v, want %+v", query, got, want)
		}
	}
}

// The key is a string of RFC 8941, or the same without its quotes.
func TestIdempotencyKeyHeader(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("~", maxIdempotencyKey)
	for name, test := range map[string]struct {
		values []string
		want   string // empty for refused
	}{
		"in quotes":           {[]string{`"abc"`}, "abc"},
		"without":             {[]string{`abc`}, "abc"},
		"the first character": {[]string{`!`}, "!"},
		"the longest":         {[]string{longest}, longest},
		"one more":            {[]string{longest + "~"}, ""},
		"two headers":         {[]string{`a`, `a`}, ""},
		"two keys":            {[]string{`a,b`}, ""},
		"empty":               {[]string{`""`}, ""},
		"not closed":          {[]string{`"a`}, ""},
		"a space":             {[]string{`a b`}, ""},
		"a delete character":  {[]string{"a\x7f"}, ""},
	} {
		got, err := idempotencyKey(withHeader(t, "Idempotency-Key", test.values...))
		if key := strings.TrimPrefix(got, "\x00"); key != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := idempotencyKey(withHeader(t, "Idempotency-Key")); got != "" || err != nil {
		t.Errorf("none: %q, %v", got, err)
	}
	// Two callers may use the same one.
	r := httptest.NewRequestWithContext(&requestContext{Context: t.Context(), info: requestInfo{serviceKey: "backend"}}, http.MethodPost, "/", http.NoBody)
	r.Header.Set("Idempotency-Key", "abc")
	if got, err := idempotencyKey(r); got != "backend\x00abc" || err != nil {
		t.Errorf("of a caller: %q, %v", got, err)
	}
}

func TestAccepts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values []string
		want   bool
	}{
		"nothing":         {nil, false},
		"it":              {[]string{"application/jwt"}, true},
		"among others":    {[]string{"text/html;q=0.9, application/JWT;q=0.1"}, true},
		"in another line": {[]string{"text/html", "application/jwt"}, true},
		"not it":          {[]string{"application/jwt;q=0"}, false},
		"something else":  {[]string{"application/json"}, false},
		"anything":        {[]string{"*/*"}, false},
		"malformed":       {[]string{"application/jwt;q"}, false},
	} {
		if got := accepts(withHeader(t, "Accept", test.values...), "application/jwt"); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	for accept, want := range map[string]bool{"text/event-stream": true, "application/json": false} {
		if got := wantsEvents(withHeader(t, "Accept", accept)); got != want {
			t.Errorf("%s: a stream of events: %v", accept, got)
		}
	}
}
