package httpapi

import (
	"bytes"
	stdjson "encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// checkRefusal: whatever is refused is refused with a 4xx of ours that can be
// rendered in both forms.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	for _, path := range []string{"/v1/x", "/oauth2/x"} {
		w := httptest.NewRecorder()
		fail(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, http.NoBody), err)
		if w.Code < 400 || w.Code > 499 || !stdjson.Valid(w.Body.Bytes()) || w.Body.Len() > 2000 {
			t.Errorf("%v became %d %q", err, w.Code, w.Body)
		}
	}
}

func post(t *testing.T, mediaType string, body []byte) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", mediaType)
	return r
}

func FuzzNewSession(f *testing.F) {
	for _, seed := range []string{
		`{"subject":"ann","data":{"n":9007199254740993},"access_token_ttl":60,"refresh_token_ttl":600,"session_ttl":6000,"client":{"label":"a","user_agent":"b","ip":"::1"}}`,
		`{"data":{}}`, `{"data":null}`, `{"data":{"a":1,"a":2}}`, `{"data":{},"x":1}`, `{"data":{},"d\u0061ta":{}}`, `{"data":{}} x`,
		`{"data":{"a":"\ud800"}}`, "{\"data\":\"\xff\"}", `{"session_ttl":9223372036854775807,"data":{}}`, `[`, ``, `{"subject":null,"data":{}}`,
		`{"replaces":"0190a5a0-0000-7000-8000-000000000000","subject":"ann"}`, `{"replaces":""}`, `{"replaces":null}`, `{"replaces":["a"]}`,
		`{}`, `{"claims":{"role":"editor","scope":"a b"}}`, `{"claims":null}`, `{"claims":{"a":1,"a":2}}`,
		`{"auth_time":1767225600,"acr":"gold","amr":["pwd","otp"],"act":{"sub":"support-7","iss":"https://a.example","act":{"sub":"b"}},"refresh_token":false,"client_id":"app"}`,
		`{"auth_time":-1}`, `{"auth_time":1e99}`, `{"acr":""}`, `{"amr":[]}`, `{"amr":[null]}`, `{"amr":"pwd"}`, `{"act":{}}`, `{"act":null}`, `{"act":{"sub":"a","sub":"b"}}`, `{"act":{"sub":"a","role":"b"}}`,
		`{"refresh_token":null}`, `{"refresh_token":"false"}`, `{"client_id":""}`, `{"client_id":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := post(t, jsonType, body)
		decoded, err := decodeJSON[newSession](r, sessionstore.MaxDataBytes)
		var params sessionstore.CreateParams
		if err == nil {
			params, err = decoded.params()
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if !stdjson.Valid(body) || !utf8.Valid(body) {
			t.Error("accepted text that is not JSON")
		}
		if !bytes.Contains(body, params.Data) || !bytes.Contains(body, params.Claims) {
			t.Errorf("data became %q, claims %q", params.Data, params.Claims)
		}
		checkLifetimes(t, params.Lifetimes)
		if a := params.Authentication; a != nil && (a.AuthTime.Before(time.Unix(0, 0)) && !a.AuthTime.IsZero() || a.AuthTime.IsZero() && a.ACR == "" && len(a.AMR) == 0) {
			t.Errorf("how the user authenticated became %+v", a)
		}
		for name := range stdMembers(t, body) {
			if !strings.Contains(" subject data claims access_token_ttl refresh_token_ttl session_ttl client dpop_jkt replaces client_id refresh_token auth_time acr amr act ", " "+name+" ") {
				t.Errorf("accepted the member %q", name)
			}
		}
	})
}

func FuzzSessionPatch(f *testing.F) {
	for _, seed := range []string{
		`{"access_token_ttl":60,"refresh_token_ttl":0,"session_ttl":6000,"client":{"label":"a"}}`,
		`{}`, `{"client":{}}`, `{"client":null}`, `{"client":{"label":null}}`, `{"client":{"label":""}}`, `{"client":{"ip":"::1"}}`, `{"session_ttl":0}`,
		`{"refresh_token_ttl":2147483648}`, `{"session_ttl":1,"session_ttl":2}`, `{"data":{}}`, `{"client":{"label":"\ud800"}}`, `[]`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := post(t, jsonType, body)
		decoded, err := decodeJSON[sessionPatch](r, maxEnvelopeBytes)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if !stdjson.Valid(body) || !utf8.Valid(body) {
			t.Error("accepted text that is not JSON")
		}
		checkLifetimes(t, decoded.params().Lifetimes)
		for name := range stdMembers(t, body) {
			if !strings.Contains(" access_token_ttl refresh_token_ttl session_ttl client ", " "+name+" ") {
				t.Errorf("accepted the member %q", name)
			}
		}
	})
}

// checkLifetimes: each is one, or what the store refuses.
func checkLifetimes(t *testing.T, l sessionstore.Lifetimes) {
	t.Helper()
	for _, ttl := range []time.Duration{l.AccessToken, l.RefreshToken, l.Session} {
		if (ttl < 0 || ttl > sessionstore.MaxLifetime) && ttl != noLifetime {
			t.Errorf("lifetimes became %v", l)
		}
	}
}

func stdMembers(t *testing.T, body []byte) map[string]stdjson.RawMessage {
	t.Helper()
	var members map[string]stdjson.RawMessage
	if err := stdjson.Unmarshal(body, &members); err != nil {
		t.Errorf("encoding/json says %v", err)
	}
	return members
}

func FuzzData(f *testing.F) {
	for _, seed := range []string{`{"a":[1.50,{"b":null}]}`, ` {} `, `{} {}`, `null`, `1e9`, `"\ud800"`, `{"a":{"b":1,"b":1}}`, "\xef\xbb\xbf{}", `[[[[`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := post(t, jsonType, body)
		data, err := decodeJSON[jsontext.Value](r, sessionstore.MaxDataBytes)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if !stdjson.Valid(body) || !bytes.Equal(bytes.TrimSpace(body), data) {
			t.Errorf("%q became %q", body, data)
		}
	})
}

func FuzzForm(f *testing.F) {
	for _, seed := range []string{
		"grant_type=refresh_token&refresh_token=a.b.c", "refresh_token=a&refresh_token=b", "refresh_token", "=", "%zz", "a;b", "refresh%5Ftoken=x", "\x00=\xff", "x=1&x=2",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := post(t, formType, body)
		fields, err := decodeForm(r, "grant_type", "refresh_token")
		if err == nil {
			_, err = requiredField(fields, "refresh_token")
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		values, err := url.ParseQuery(string(body))
		if err != nil || len(values["refresh_token"]) != 1 || values.Get("refresh_token") != fields.get("refresh_token") || len(values["grant_type"]) > 1 {
			t.Errorf("%q became %q", body, fields)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"subject=ann&limit=5&cursor=x", "limit=&subject=a", "subject=a&subject=b", "access_token=x", "%zz", "a;b", "subject=%ff", "LIMIT=1", "\xff=1", "wait=30", "wait=+1", "wait=256"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.URL.RawQuery = query
		err := checkQuery(r, []string{"subject", "limit", "cursor", "wait"})
		if err == nil {
			_, err = listParams(r)
		}
		if err == nil {
			var wait time.Duration
			if wait, err = revocationWait(r); wait < 0 || wait > maxRevocationWait*time.Second {
				t.Errorf("waits for %v", wait)
			}
		}
		if err != nil {
			checkRefusal(t, err)
			return
		}
		for name, values := range r.URL.Query() {
			if !slices.Contains([]string{"subject", "limit", "cursor", "wait"}, name) || len(values) != 1 || values[0] == "" || !utf8.ValidString(values[0]) {
				t.Errorf("accepted %q: %q", name, values)
			}
		}
	})
}

// RFC 7617 §2, RFC 6749 §2.3.1.
func FuzzBasicCredentials(f *testing.F) {
	for _, seed := range []string{
		"Basic bGF0Y2hrZXk6", "basic  YTpi", "Basic", "Basic ", "Bearer x", "Basic Og==", "Basic YSUyNWI6JXp6", "Basic /zo=", "", "Basic YTpi, Basic YTpi", "Basic YTpi=",
	} {
		f.Add(seed)
	}
	s := &Server{cfg: Config{ClientID: "latchkey"}, clientIDs: []string{"latchkey"}}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		r.Header["Authorization"] = []string{value}
		id, secret, err := basicCredentials(r)
		user, password, basic := r.BasicAuth() // net/http's own reading
		switch {
		case err == nil && (!basic || user != id.raw || password != secret.raw):
			if !strings.Contains(value, "  ") { // it knows one space only
				t.Errorf("%q became %q and %q, net/http says %q and %q", value, id.raw, secret.raw, user, password)
			}
		case err != nil && (id != credential{} || secret != credential{}):
			t.Errorf("%q: %v, with %q and %q", value, err, id, secret)
		}
		if _, err := s.checkClient(r, nil); err != nil {
			checkRefusal(t, err)
		} else if basic && (password != "" || user != "latchkey" && id.decoded != "latchkey") {
			t.Errorf("%q is taken for the client", value)
		}
	})
}

// A condition or a preference that cannot be read counts as not sent.
func FuzzHeaders(f *testing.F) {
	for _, seed := range []string{`W/"a", "b"`, "*", "text/event-stream", "text/event-stream;q=0.5,*/*", `"`, ",,;=", "a/b;c=\"d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header["If-None-Match"], r.Header["Accept"] = []string{value}, []string{value}
		if ifNoneMatch(r, `"present"`) && !strings.Contains(value, `"present"`) && !strings.Contains(value, "*") {
			t.Errorf("%q matches", value)
		}
		if wantsEvents(r) && !strings.Contains(strings.ToLower(value), eventStreamType) {
			t.Errorf("%q asks for events", value)
		}
	})
}

func FuzzIfMatch(f *testing.F) {
	for _, seed := range []string{`"abc"`, `W/"abc"`, `*`, `"a", "b"`, `""`, `"`, ``, "\"\x00\"", "\"\xff\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/", http.NoBody)
		r.Header["If-Match"] = []string{value}
		checksum, err := ifMatch(r)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		if etagOf(checksum) != value || strings.ContainsRune(checksum, '"') || !utf8.ValidString(checksum) {
			t.Errorf("%q became %q", value, checksum)
		}
		r.Header["If-None-Match"] = []string{value}
		if !strings.Contains(value, ",") && !ifNoneMatch(r, etagOf(checksum)) {
			t.Errorf("%q does not match itself", value)
		}
	})
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{`"abc"`, `abc`, `"a", "b"`, `""`, `"`, ``, `"a\"b"`, "\"\x00\"", "\"\xff\"", `8e03978e-40d5-43e8-bc93-6894a57f9324`, strings.Repeat("a", 255), strings.Repeat("a", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		r.Header["Idempotency-Key"] = []string{value}
		got, err := idempotencyKey(r)
		if err != nil {
			checkRefusal(t, err)
			return
		}
		key, found := strings.CutPrefix(got, "\x00") // without a service key
		if !found || key != value && `"`+key+`"` != value || key == "" || len(key) > maxIdempotencyKey || strings.ContainsAny(key, "\x00\" ,") {
			t.Errorf("%q became %q", value, got)
		}
	})
}
