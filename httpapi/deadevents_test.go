package httpapi_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// deadEvents are deliveries in memory.
type deadEvents struct {
	mu   sync.Mutex
	dead []httpapi.DeadEvent // the last made first
	err  error
}

func (d *deadEvents) Dead(_ context.Context, endpoint string, before int64, most int) ([]httpapi.DeadEvent, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := []httpapi.DeadEvent{}
	for _, e := range d.dead {
		if (endpoint == "" || e.Endpoint == endpoint) && (before == 0 || e.ID < before) && len(found) < most {
			found = append(found, e)
		}
	}
	return found, d.err
}

func (d *deadEvents) Resend(_ context.Context, ids []int64, endpoint string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := len(d.dead)
	d.dead = slices.DeleteFunc(d.dead, func(e httpapi.DeadEvent) bool {
		return (endpoint == "" || e.Endpoint == endpoint) && (ids == nil || slices.Contains(ids, e.ID))
	})
	return int64(before - len(d.dead)), d.err
}

func setupDead(t *testing.T) (*service, *deadEvents) {
	t.Helper()
	dead := &deadEvents{}
	for id := int64(5); id > 0; id-- {
		dead.dead = append(dead.dead, httpapi.DeadEvent{
			ID: id, Endpoint: []string{"crm", "chat"}[id%2], EventID: uuid.New(), Type: "session.ended", SessionID: uuid.New(),
			At: time.Now().UTC(), DeadAt: time.Now().UTC(), Attempts: 34, Error: "the endpoint answered 500",
		})
	}
	return setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.DeadEvents = dead }), dead
}

// Dead deliveries are listed in pages, of all endpoints and of one.
func TestDeadEventsAreListed(t *testing.T) {
	t.Parallel()
	s, _ := setupDead(t)
	for query, want := range map[string][]int64{"?limit=2": {5, 4, 3, 2, 1}, "?limit=2&endpoint=chat": {5, 3, 1}, "?endpoint=nobody": {}} {
		ids := []int64{}
		for cursor := ""; ; {
			page := s.internal(t, "GET", "/v1/events/dead"+query+cursor, bearer(serviceKey)).want(t, 200).json(t)
			for _, d := range at[[]any](t, page, "deliveries") {
				delivery, _ := d.(map[string]any)
				ids = append(ids, int64(at[float64](t, delivery, "id")))
			}
			if page["next_cursor"] == nil {
				break
			}
			cursor = "&cursor=" + at[string](t, page, "next_cursor")
		}
		if diff := cmp.Diff(want, ids); diff != "" {
			t.Errorf("%s: %s", query, diff)
		}
	}
	for _, query := range []string{"?cursor=x", "?cursor=0", "?limit=201", "?limit=0", "?endpoint=", "?endpoint=%00"} {
		s.internal(t, "GET", "/v1/events/dead"+query, bearer(serviceKey)).wantProblem(t, 400, "invalid_parameter")
	}
}

// Those that are named are sent again, or all.
func TestDeadEventsAreSentAgain(t *testing.T) {
	t.Parallel()
	s, dead := setupDead(t)
	for _, c := range []struct {
		body string
		want int
	}{
		{`{"ids":[1,2,99],"endpoint":"chat"}`, 1},
		{`{"ids":[2]}`, 1},
		{`{"ids":[2]}`, 0},
		{`{"endpoint":"crm"}`, 1},
		{`{}`, 2},
	} {
		answer := s.internal(t, "POST", "/v1/events/dead/resend", bearer(serviceKey), jsonBody(c.body)).want(t, 200).json(t)
		if answer["resent"] != float64(c.want) {
			t.Errorf("%s: %v", c.body, answer)
		}
	}
	many := "[1"
	for i := range 1000 {
		many += "," + strconv.Itoa(i)
	}
	for _, body := range []string{`{"ids":[]}`, `{"ids":["1"]}`, `{"ids":[1.5]}`, `{"endpoint":""}`, `{"ids":` + many + `]}`} {
		s.internal(t, "POST", "/v1/events/dead/resend", bearer(serviceKey), jsonBody(body)).wantProblem(t, 400, "invalid_member")
	}
	dead.err = errors.New("the database is gone")
	s.internal(t, "POST", "/v1/events/dead/resend", bearer(serviceKey), jsonBody(`{}`)).wantProblem(t, 503, "unavailable")
	s.internal(t, "GET", "/v1/events/dead", bearer(serviceKey)).wantProblem(t, 503, "unavailable")
}

// An application without events has no such routes.
func TestNoDeadEvents(t *testing.T) {
	t.Parallel()
	s := setup(t, func(cfg *httpapi.Config, _ *sessionstore.Config) { cfg.DeadEvents = nil })
	s.internal(t, "GET", "/v1/events/dead", bearer(serviceKey)).wantProblem(t, 404, "route_not_found")
	s.internal(t, "POST", "/v1/events/dead/resend", bearer(serviceKey), jsonBody(`{}`)).wantProblem(t, 404, "route_not_found")
}
