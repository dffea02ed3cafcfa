package httpapi_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A creation that is sent again is answered again (draft-ietf-httpapi-idempotency-key-header-07 §2).
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	const otherKey = "another-backend-0123456789abcdefghi"
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) {
		cfg.ServiceKeys = append(cfg.ServiceKeys, httpapi.ServiceKey{Name: "other", Secret: otherKey})
	})
	const body = `{"subject":"ann","data":{"n":1},"client":{"label":"laptop"}}`
	send := func(body string, options ...option) response {
		return s.internal(t, "POST", "/v1/sessions", append(options, jsonBody(body))...)
	}
	first := send(body, header("Idempotency-Key", `"k-1"`)).want(t, 201)
	for _, again := range []response{
		send(body, header("Idempotency-Key", `"k-1"`)),
		send(body, header("Idempotency-Key", `k-1`)),
		send(`{"data":{"n":1.0},"client":{"label":"laptop"}, "subject":"ann"}`, header("Idempotency-Key", `"k-1"`)),
	} {
		want, got := first.json(t), again.want(t, 201).json(t)
		delete(want, "expires_in")
		delete(got, "expires_in")
		delete(want, "refresh_expires_in")
		delete(got, "refresh_expires_in")
		delete(at[map[string]any](t, want, "session"), "data")
		delete(at[map[string]any](t, got, "session"), "data")
		if diff := cmp.Diff(want, got); diff != "" || again.Header.Get("Location") != first.Header.Get("Location") || again.Header.Get("ETag") != first.Header.Get("ETag") {
			t.Errorf("another answer: %s", diff)
		}
	}
	send(`{"subject":"ann","data":{"n":2},"client":{"label":"laptop"}}`, header("Idempotency-Key", `"k-1"`)).wantProblem(t, 422, "idempotency_key_reused")

	id := at[map[string]any](t, first.json(t), "session")["id"]
	for what, answer := range map[string]response{
		"another key":       send(body, header("Idempotency-Key", `"k-2"`)),
		"no key":            send(body),
		"another's own key": send(body, header("Idempotency-Key", `"k-1"`), bearer(otherKey)),
	} {
		if got := at[map[string]any](t, answer.want(t, 201).json(t), "session")["id"]; got == id {
			t.Errorf("%s: the same session", what)
		}
	}
	for _, wrong := range []string{"", `""`, `"`, `"a`, `a"`, `"a" "b"`, `"a", "b"`, "a b", "\xff", `"a\"b"`, strings.Repeat("a", 256), `"` + strings.Repeat("a", 256) + `"`} {
		send(body, header("Idempotency-Key", wrong)).wantProblem(t, 400, "invalid_parameter")
	}
	send(body, header("Idempotency-Key", `"`+strings.Repeat("a", 255)+`"`)).want(t, 201)
	send(body, header("Idempotency-Key", `"a"`), header("Idempotency-Key", `"b"`)).wantProblem(t, 400, "invalid_parameter")

	s.internal(t, "DELETE", at[string](t, map[string]any{"l": first.Header.Get("Location")}, "l")).want(t, 204)
	send(body, header("Idempotency-Key", `"k-1"`)).wantProblem(t, 409, "session_ended")
}
