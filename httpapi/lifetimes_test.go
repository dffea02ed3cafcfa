package httpapi_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A lifetime that is out of bounds is refused with the member's name and the bounds.
func TestBoundsOfLifetimes(t *testing.T) {
	t.Parallel()
	s := setup(t, func(_ *httpapi.Config, cfg *sessionstore.Config) {
		cfg.Lifetimes.RefreshToken = 20 * time.Minute
		cfg.Bounds.Min.RefreshToken, cfg.Bounds.Max.RefreshToken = 15*time.Minute, 30*time.Minute
		cfg.Lifetimes.Session, cfg.Bounds.Max.Session = 8*time.Hour, 24*time.Hour
	})
	created := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"refresh_token_ttl":1800}`)).want(t, 201).json(t)
	path := "/v1/sessions/" + at[string](t, at[map[string]any](t, created, "session"), "id")
	for member, bounds := range map[string]struct {
		outside []string
		says    string
	}{
		"access_token_ttl":  {[]string{"0", "-1", "86401", "2147483648", "-9223372036854775808"}, "24h0m0s"},
		"refresh_token_ttl": {[]string{"1801", "899", "0", "-1", "2147483647", "2147483648", "9223372036854775807"}, "between 15m0s and 30m0s"},
		"session_ttl":       {[]string{"86401", "0", "-1", "2147483648", "-9223372036854775808"}, "between 1s and 24h0m0s"},
	} {
		for _, ttl := range bounds.outside {
			for method, target := range map[string]string{"POST": "/v1/sessions", "PATCH": path} {
				answer := s.internal(t, method, target, jsonBody(`{"`+member+`":`+ttl+`}`))
				answer.wantProblem(t, 400, "invalid_member")
				if m := answer.json(t); m["pointer"] != "/"+member || !strings.Contains(at[string](t, m, "detail"), bounds.says) {
					t.Errorf("%s of %s: %v", member, ttl, m)
				}
			}
		}
	}
	// More than a number of JSON can be read into.
	answer := s.internal(t, "POST", "/v1/sessions", jsonBody(`{"session_ttl":99999999999999999999}`)).want(t, 400).json(t)
	if detail := at[string](t, answer, "detail"); answer["pointer"] != "/session_ttl" || detail != "It must be a whole number that fits into 64 bits." {
		t.Errorf("a number of 20 digits: %v", answer)
	}
}

func TestPatchSession(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	path := "/v1/sessions/" + session.id
	answer := s.internal(t, "PATCH", path, jsonBody(`{"session_ttl":7200,"client":{"label":"till 4"}}`)).want(t, 200).json(t)
	loaded := s.internal(t, "GET", path).want(t, 200).json(t)
	if at[map[string]any](t, answer, "client")["label"] != "till 4" || loaded["expires_at"] != answer["expires_at"] {
		t.Errorf("answered %v, stored %v", answer, loaded)
	}
	end, err := time.Parse(time.RFC3339, at[string](t, answer, "expires_at"))
	if left := time.Until(end); err != nil || left > 2*time.Hour || left < 2*time.Hour-5*time.Minute {
		t.Errorf("it ends in %v (%v)", left, err)
	}
	for _, nothing := range []string{`{"client":{"label":null}}`, `{"client":null}`, `{"client":{}}`} {
		s.internal(t, "PATCH", path, jsonBody(nothing)).want(t, 200)
	}
	if again := s.internal(t, "PATCH", path, jsonBody(`{}`)).want(t, 200).json(t); !cmp.Equal(again, answer) {
		t.Errorf("nothing to change: %s", cmp.Diff(answer, again))
	}

	for body, pointer := range map[string]string{
		`{"access_token_ttl":30}`:               "/access_token_ttl",
		`{"access_token_ttl":86401}`:            "/access_token_ttl",
		`{"refresh_token_ttl":60}`:              "/refresh_token_ttl",
		`{"session_ttl":0}`:                     "/session_ttl",
		`{"session_ttl":60}`:                    "/session_ttl",
		`{"session_ttl":null}`:                  "/session_ttl",
		`{"client":{"label":7}}`:                "/client/label",
		`{"session_ttl":9223372036854775807}`:   "/session_ttl",
		`{"client":{"label":"x"},"subject":""}`: "/subject",
		`{"client":{"user_agent":"x"}}`:         "/client/user_agent",
	} {
		if m := s.internal(t, "PATCH", path, jsonBody(body)).want(t, 400).json(t); m["pointer"] != pointer {
			t.Errorf("%s: %v", body, m)
		}
	}
	s.internal(t, "PATCH", "/v1/sessions/nobody", jsonBody(`{}`)).wantProblem(t, 404, "session_not_found")
	s.internal(t, "DELETE", path).want(t, 204)
	s.internal(t, "PATCH", path, jsonBody(`{"session_ttl":7200}`)).wantProblem(t, 409, "session_ended")
}

// Users rename their own devices, and change nothing else.
func TestRenameOwnSession(t *testing.T) {
	t.Parallel()
	s := setup(t)
	laptop, phone, other, guest := s.create(t, "ann"), s.create(t, "ann"), s.create(t, "bob"), s.create(t, "")
	rename := func(id, label, token string) response {
		return s.public(t, "PATCH", "/v1/me/sessions/"+id, jsonBody(`{"client":{"label":"`+label+`"}}`), bearer(token))
	}
	label := func(answer response) any {
		return at[map[string]any](t, answer.want(t, 200).json(t), "client")["label"]
	}
	if got := label(rename(phone.id, "phone", laptop.access)); got != "phone" {
		t.Errorf("another device is called %v", got)
	}
	if got := label(rename(laptop.id, "laptop", laptop.access)); got != "laptop" {
		t.Errorf("this device is called %v", got)
	}
	if got := label(rename(guest.id, "kiosk", guest.access)); got != "kiosk" {
		t.Errorf("a guest's device is called %v", got)
	}
	for _, id := range []string{other.id, guest.id, "nobody"} {
		rename(id, "mine", laptop.access).wantProblem(t, 404, "session_not_found")
	}
	rename(other.id, "mine", guest.access).wantProblem(t, 404, "session_not_found")
	s.public(t, "PATCH", "/v1/me/sessions/"+laptop.id, jsonBody(`{"session_ttl":7200}`), bearer(laptop.access)).wantProblem(t, 400, "unknown_member")

	s.internal(t, "DELETE", "/v1/sessions/"+phone.id).want(t, 204)
	rename(phone.id, "x", laptop.access).wantProblem(t, 409, "session_ended")
	s.internal(t, "DELETE", "/v1/sessions/"+laptop.id).want(t, 204)
	rename(laptop.id, "x", laptop.access).wantProblem(t, 401, "invalid_token")
}
