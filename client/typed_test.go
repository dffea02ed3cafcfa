package client_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/client"
)

type cart struct {
	Items []string    `json:"items"`
	Total json.Number `json:"total,omitempty"`
}

// Data is read into the caller's type, with all digits, and an error quotes no data.
func TestDecode(t *testing.T) {
	t.Parallel()
	got, err := client.Decode[cart](client.Data(`{"items":["tea"],"total":1.10000000000000000001}`))
	if diff := cmp.Diff(cart{[]string{"tea"}, "1.10000000000000000001"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for text, want := range map[string]string{
		`{"items":"secret"}`: `the member "items" does not fit a []string`,
		`secret`:             `the JSON does not decode into a client_test.cart`,
		``:                   `the JSON does not decode into a client_test.cart`,
	} {
		if got, err := client.Decode[cart](client.Data(text)); err == nil || err.Error() != want || !cmp.Equal(got, cart{}) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}

// Without the right read-data there is no data to be changed.
func TestUpdateNeedsData(t *testing.T) {
	t.Parallel()
	c := with(t, func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet {
			t.Errorf("sent %s", r.Method)
		}
		return answer(r, 200, "application/json", `{"id":"`+id.String()+`"}`), nil
	})
	_, err := client.Update(t.Context(), c, id, func(*cart) error { return nil })
	if !errors.Is(err, client.ErrMissingRight) {
		t.Error(err)
	}
}

// The caller's own error ends an update, and nothing is written.
func TestUpdateRefusedByTheCaller(t *testing.T) {
	t.Parallel()
	c := with(t, func(r *http.Request) (*http.Response, error) {
		if r.Method != http.MethodGet {
			t.Errorf("sent %s", r.Method)
		}
		return answer(r, 200, "application/json", `{"data":{},"checksum":"a"}`, "ETag", `"a"`), nil
	})
	full := errors.New("the cart is full")
	if _, err := client.Update(t.Context(), c, id, func(*cart) error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
	if _, err := client.UpdateClaims(t.Context(), c, id, true, func(*map[string]any) error { return full }); !errors.Is(err, full) {
		t.Error(err)
	}
	if _, err := client.Update(t.Context(), c, id, func(v *map[string]any) error {
		*v = map[string]any{"a": func() {}}
		return nil
	}); !errors.Is(err, client.ErrInvalidArgument) {
		t.Error(err)
	}
}

// Pages are read on demand, and the first error ends the iteration.
func TestPages(t *testing.T) {
	t.Parallel()
	asked := 0
	c := with(t, func(r *http.Request) (*http.Response, error) {
		asked++
		page, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		switch page {
		case 3:
			return answer(r, 400, "application/problem+json", `{"code":"invalid_parameter"}`), nil
		case 1:
			return answer(r, 200, "application/json", `{"deliveries":[],"next_cursor":"2"}`), nil
		}
		return answer(r, 200, "application/json", `{"deliveries":[{"id":`+strconv.Itoa(page)+`}],"next_cursor":"`+strconv.Itoa(page+1)+`"}`), nil
	}, client.WithAttempts(1))
	var ids []int64
	var failed error
	for event, err := range c.DeadEvents(t.Context(), client.DeadEventFilter{}) {
		if err != nil {
			failed = err
			continue
		}
		ids = append(ids, event.ID)
	}
	if diff := cmp.Diff([]int64{0, 2}, ids); diff != "" || !errors.Is(failed, client.ErrInvalidArgument) || asked != 4 {
		t.Errorf("asked %d times: %s, %v", asked, diff, failed)
	}
	asked = 0
	for _, err := range c.DeadEvents(t.Context(), client.DeadEventFilter{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if asked != 1 {
		t.Errorf("asked %d times for the first", asked)
	}
}

// A list of ids that is empty is not none: that would be all of them.
func TestResendNone(t *testing.T) {
	t.Parallel()
	for want, which := range map[string]client.Resend{`{"ids":[]}`: {IDs: []int64{}}, `{}`: {}} {
		body, err := json.Marshal(which)
		if err != nil || string(body) != want {
			t.Errorf("%s, %v", body, err)
		}
	}
}

// An audience is a string or a list (RFC 7519 §4.1.3).
func TestAudience(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]client.Audience{`"shop"`: {"shop"}, `["shop","orders"]`: {"shop", "orders"}} {
		var got client.Audience
		if err := json.Unmarshal([]byte(text), &got); err != nil || !cmp.Equal(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	if err := json.Unmarshal([]byte(`7`), new(client.Audience)); err == nil {
		t.Error("a number was read")
	}
}
