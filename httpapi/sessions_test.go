package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func TestCreateSession(t *testing.T) {
	t.Parallel()
	s := setup(t)
	answer := s.internal(t, "POST", "/v1/sessions", jsonBody(`{
		"subject": "ann", "data": {"b": 1, "a": "`+secretData+`"},
		"access_token_ttl": 60, "refresh_token_ttl": 3600, "session_ttl": 1800,
		"client": {"label": "phone", "user_agent": "app/1", "ip": "2001:db8::1"}
	}`)).want(t, 201)
	m := answer.json(t)
	session := sessionOf(m)
	// The session's end caps the refresh token.
	if m["token_type"] != "Bearer" || m["expires_in"] != 60.0 || m["refresh_expires_in"] != 1800.0 {
		t.Errorf("%v", m)
	}
	for name, want := range map[string]string{
		"Location": "/v1/sessions/" + session.id, "ETag": `"` + session.checksum + `"`,
		"Cache-Control": "no-store", "Pragma": "no-cache", // security 15
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	loaded := s.internal(t, "GET", "/v1/sessions/"+session.id).want(t, 200)
	if diff := cmp.Diff(m["session"], any(loaded.json(t))); diff != "" {
		t.Errorf("created (-) and loaded (+):\n%s", diff)
	}
	if got := loaded.Header.Get("ETag"); got != `"`+session.checksum+`"` {
		t.Errorf("ETag %q", got)
	}
	if !s.accepted(t, session.access) {
		t.Error("the access token is not accepted")
	}
}

// A session needs no data: all of it may be in its claims, or in another store.
func TestCreateWithoutData(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for _, body := range []string{`{}`, `{"subject":"ann"}`} {
		m := s.internal(t, "POST", "/v1/sessions", jsonBody(body)).want(t, 201).json(t)
		created, _ := m["session"].(map[string]any)
		if diff := cmp.Diff(any(map[string]any{}), created["data"]); diff != "" {
			t.Errorf("%s: data (-want +got):\n%s", body, diff)
		}
		session := sessionOf(m)
		s.internal(t, "PUT", "/v1/sessions/"+session.id+"/data", header("If-Match", `"`+session.checksum+`"`), jsonBody(`{"a":1}`)).want(t, 200)
	}
}

// At the limit the oldest session ends as if its user had signed out.
func TestSessionsPerSubject(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) { cfg.SessionsPerSubject = 2 })
	oldest, next, newest := s.create(t, "ann"), s.create(t, "ann"), s.create(t, "ann")
	if s.accepted(t, oldest.access) {
		t.Error("the oldest session's access token is still accepted")
	}
	s.public(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", oldest.refresh)).want(t, 400)
	for _, session := range []session{next, newest} {
		if !s.accepted(t, session.access) {
			t.Error("another session has ended")
		}
	}
}

// Neither the decoder nor the encoder may round a number or lose a character.
func TestDataKeepsItsDigits(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const data = `{"big":12345678901234567890123,"exact":0.10,"html":"<a> & \u2028","id":9007199254740993,"nested":{"empty":{},"list":[1.50,null,true]}}`
	session := sessionOf(s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":`+data+`}`)).want(t, 201).json(t))
	for name, text := range map[string][]byte{
		"GET":        s.internal(t, "GET", "/v1/sessions/"+session.id).body,
		"introspect": s.internal(t, "POST", "/oauth2/introspect", form("token", session.access)).body,
	} {
		for _, want := range []string{"12345678901234567890123", "0.10", "9007199254740993", "1.50"} {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: %s is missing in %s", name, want, text)
			}
		}
		if !json.Valid(text) {
			t.Errorf("%s: not JSON: %s", name, text)
		}
	}
	var got struct {
		Data struct {
			HTML string `json:"html"`
		} `json:"data"`
	}
	if err := json.Unmarshal(s.internal(t, "GET", "/v1/sessions/"+session.id).body, &got); err != nil || got.Data.HTML != "<a> & \u2028" {
		t.Errorf("%q, %v", got.Data.HTML, err)
	}
}

// Every wrong body is a 4xx that names the member and does not reveal its value.
func TestCreateSessionRefusals(t *testing.T) {
	t.Parallel()
	s := setup(t)
	const value = "0123456789-the-value"
	deep := strings.Repeat(`{"a":`, 500) + "1" + strings.Repeat("}", 500)
	for name, test := range map[string]struct {
		body    string
		code    string
		pointer any // nil: none
	}{
		"empty":                 {``, "malformed_body", nil},
		"null":                  {`null`, "invalid_member", nil},
		"an array":              {`[]`, "invalid_member", nil},
		"a string":              {`"` + value + `"`, "invalid_member", nil},
		"trailing data":         {`{"data":{}} true`, "malformed_body", nil},
		"cut off":               {`{"data":{"a":`, "malformed_body", "/data/a"},
		"a comment":             {`{"data":{}/**/}`, "malformed_body", nil},
		"a trailing comma":      {`{"data":{},}`, "malformed_body", nil},
		"single quotes":         {`{'data':{}}`, "malformed_body", nil},
		"bad UTF-8":             {"{\"data\":{\"a\":\"\xff\"}}", "malformed_body", nil},
		"half a surrogate pair": {`{"data":{"a":"\ud800"}}`, "malformed_body", "/data/a"},
		"unknown":               {`{"data":{},"user":"` + value + `"}`, "unknown_member", "/user"},
		"unknown for its case":  {`{"Data":{}}`, "unknown_member", "/Data"},
		"unknown in client":     {`{"data":{},"client":{"os":"` + value + `"}}`, "unknown_member", "/client/os"},
		"unknown to be escaped": {`{"data":{},"a/b~c":1}`, "unknown_member", "/a~1b~0c"},
		"twice":                 {`{"data":{},"data":{}}`, "duplicate_member", "/data"},
		"twice by escapes":      {`{"data":{},"d\u0061ta":{}}`, "duplicate_member", "/data"},
		"twice in data":         {`{"data":{"list":[{"a":1,"a":2}]}}`, "duplicate_member", "/data/list/0/a"},
		"null for data":         {`{"data":null}`, "invalid_member", "/data"},
		"an array for data":     {`{"data":[]}`, "invalid_member", "/data"},
		"a string for data":     {`{"data":"` + value + `"}`, "invalid_member", "/data"},
		"NUL in data":           {`{"data":{"a":"\u0000"}}`, "invalid_member", "/data"},
		"deep data":             {`{"data":` + deep + `}`, "invalid_member", "/data"},
		"large data":            {`{"data":{"a":"` + strings.Repeat("x", 66_000) + `"}}`, "invalid_member", "/data"},
		"a huge number":         {`{"data":{"a":1e999999}}`, "invalid_member", "/data"},
		"null for claims":       {`{"claims":null}`, "invalid_member", "/claims"},
		"an array for claims":   {`{"claims":[]}`, "invalid_member", "/claims"},
		"a string for claims":   {`{"claims":"` + value + `"}`, "invalid_member", "/claims"},
		"a claim of ours":       {`{"claims":{"role":"a","sub":"` + value + `"}}`, "invalid_member", "/claims/sub"},
		"ours in capitals":      {`{"claims":{"SUB":"` + value + `"}}`, "invalid_member", "/claims/SUB"},
		"ours by escapes":       {`{"claims":{"\u0069ss":"` + value + `"}}`, "invalid_member", "/claims/iss"},
		"a claim twice":         {`{"claims":{"role":1,"r\u006fle":2}}`, "duplicate_member", "/claims/role"},
		"a list for scope":      {`{"claims":{"scope":["` + value + `"]}}`, "invalid_member", "/claims/scope"},
		"large claims":          {`{"claims":{"a":"` + strings.Repeat("x", 4096) + `"}}`, "invalid_member", "/claims"},
		"deep claims":           {`{"claims":` + deep + `}`, "invalid_member", "/claims"},
		"NUL in claims":         {`{"claims":{"a":"\u0000"}}`, "invalid_member", "/claims/a"},
		"a number for subject":  {`{"data":{},"subject":17}`, "invalid_member", "/subject"},
		"null for subject":      {`{"data":{},"subject":null}`, "invalid_member", "/subject"},
		"empty subject":         {`{"data":{},"subject":""}`, "invalid_member", "/subject"},
		"long subject":          {`{"data":{},"subject":"` + strings.Repeat("x", 300) + `"}`, "invalid_member", "/subject"},
		"NUL in subject":        {`{"data":{},"subject":"a\u0000"}`, "invalid_member", "/subject"},
		"a string for a ttl":    {`{"data":{},"session_ttl":"` + value + `"}`, "invalid_member", "/session_ttl"},
		"a fraction for a ttl":  {`{"data":{},"access_token_ttl":60.5}`, "invalid_member", "/access_token_ttl"},
		"zero for a ttl":        {`{"data":{},"session_ttl":0}`, "invalid_member", "/session_ttl"},
		"no end at all":         {`{"data":{},"refresh_token_ttl":0}`, "invalid_member", "/session_ttl"},
		"a negative ttl":        {`{"data":{},"refresh_token_ttl":-1}`, "invalid_member", "/refresh_token_ttl"},
		"a ttl past its column": {`{"data":{},"refresh_token_ttl":2147483648}`, "invalid_member", "/refresh_token_ttl"},
		"a ttl that overflows":  {`{"data":{},"session_ttl":9223372036854775807}`, "invalid_member", "/session_ttl"},
		"a ttl beyond int64":    {`{"data":{},"session_ttl":92233720368547758070}`, "invalid_member", "/session_ttl"},
		"a ttl below the grace": {`{"data":{},"access_token_ttl":30}`, "invalid_member", "/access_token_ttl"},
		"refresh ends first":    {`{"data":{},"refresh_token_ttl":300}`, "invalid_member", "/refresh_token_ttl"},
		"a string for client":   {`{"data":{},"client":"` + value + `"}`, "invalid_member", "/client"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := s.internal(t, "POST", "/v1/sessions", jsonBody(test.body))
			m := answer.wantProblem(t, 400, test.code)
			if m["pointer"] != test.pointer {
				t.Errorf("pointer %v, want %v: %s", m["pointer"], test.pointer, answer.body)
			}
			if strings.Contains(string(answer.body), value) {
				t.Errorf("the answer repeats the value: %s", answer.body)
			}
		})
	}
}

// Security 20: bodies are bounded, and so is what is echoed of them.
func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	s := setup(t)
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{"a":"`+strings.Repeat("x", 100_000)+`"}}`)).wantProblem(t, 413, "body_too_large")
	answer := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{},"`+strings.Repeat("é", 10_000)+`":1}`))
	if answer.wantProblem(t, 400, "unknown_member"); len(answer.body) > 1000 {
		t.Errorf("the answer has %d bytes", len(answer.body))
	}
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{"a":"`+strings.Repeat("x", 65_000)+`"},"subject":"ann"}`)).want(t, 201)
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	s := setup(t)
	for mediaType, status := range map[string]int{
		"application/json": 201, "application/json; charset=utf-8": 201, "Application/JSON;charset=UTF-8": 201,
		"": 415, "text/json": 415, "application/json; charset=latin1": 415, "application/merge-patch+json": 415,
		"application/x-www-form-urlencoded": 415, "application/json;": 201, "application/json, text/plain": 415, "/": 415,
	} {
		if got := s.internal(t, "POST", "/v1/sessions", body(mediaType, `{"data":{}}`)).StatusCode; got != status {
			t.Errorf("%q: %d, want %d", mediaType, got, status)
		}
	}
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{}}`), header("Content-Type", "text/plain")).wantProblem(t, 415, "unsupported_media_type")
	s.internal(t, "POST", "/v1/sessions", jsonBody(`{"data":{}}`), header("Content-Encoding", "gzip")).wantProblem(t, 415, "unsupported_media_type")
}

func TestListSessions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	one, two := s.create(t, "user=1&x"), s.create(t, "user=1&x")
	all, current := ids(t, s.internal(t, "GET", "/v1/sessions?subject=user%3D1%26x").want(t, 200).json(t))
	if diff := cmp.Diff([]string{two.id, one.id}, all); diff != "" || current != "" {
		t.Error(diff, current)
	}
	empty := s.internal(t, "GET", "/v1/sessions?subject=nobody").want(t, 200)
	if string(empty.body) != `{"sessions":[]}` {
		t.Errorf("%s", empty.body)
	}
	s.internal(t, "GET", "/v1/sessions?subject=").wantProblem(t, 400, "invalid_parameter")
	s.internal(t, "GET", "/v1/sessions?subject="+strings.Repeat("x", 300)).wantProblem(t, 400, "invalid_parameter")
	s.internal(t, "GET", "/v1/sessions?subject=%ff").wantProblem(t, 400, "invalid_parameter")
}

// Security 7 (ASVS 7.4.3): an operator ends one session, or all of a user.
func TestOperatorEndsSessions(t *testing.T) {
	t.Parallel()
	s := setup(t)
	one, two, three, bob := s.create(t, "ann"), s.create(t, "ann"), s.create(t, "ann"), s.create(t, "bob")
	for range 2 { // repeating it is not an error
		s.internal(t, "DELETE", "/v1/sessions/"+one.id).want(t, 204)
	}
	ended := s.internal(t, "GET", "/v1/sessions/"+one.id).want(t, 200).json(t)
	if _, has := ended["revoked_at"]; !has {
		t.Errorf("%v has no revoked_at", ended)
	}
	if s.accepted(t, one.access) || !s.accepted(t, two.access) {
		t.Error("the one session alone must have ended")
	}
	s.refresh(t, one.refresh).wantProblem(t, 400, "invalid_grant")

	if m := s.internal(t, "DELETE", "/v1/sessions?subject=ann").want(t, 200).json(t); m["revoked"] != 2.0 {
		t.Errorf("%v", m)
	}
	if s.accepted(t, two.access) || s.accepted(t, three.access) || !s.accepted(t, bob.access) {
		t.Error("ann's sessions alone must have ended")
	}
	for _, id := range []string{"01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91", "nothing", "%00", "urn:uuid:" + bob.id} {
		s.internal(t, "DELETE", "/v1/sessions/"+id).wantProblem(t, 404, "session_not_found")
		s.internal(t, "GET", "/v1/sessions/"+id).wantProblem(t, 404, "session_not_found")
	}
	// No value that could mean all subjects is accepted.
	s.internal(t, "DELETE", "/v1/sessions").wantProblem(t, 400, "invalid_parameter")
	s.internal(t, "DELETE", "/v1/sessions?subject=").wantProblem(t, 400, "invalid_parameter")
	s.internal(t, "DELETE", "/v1/sessions?subject=ann&subject=bob").wantProblem(t, 400, "duplicate_parameter")
	s.internal(t, "DELETE", "/v1/sessions?subjct=bob").wantProblem(t, 400, "unknown_parameter")
	if !s.accepted(t, bob.access) {
		t.Error("a refused request had an effect")
	}
}
