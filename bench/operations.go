package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// call is one call of an operation. It fails with [load.ErrUsedUp] when what was prepared is.
type call = load.Work

// alongside starts something that runs alongside the calls, until it is stopped.
type beside func(r *rig, ctx context.Context, workers int) (stop func())

// need is what an operation is prepared for: so many calls by so many workers.
type need struct {
	*rig

	variant        string
	workers, calls int
}

// operation is something that can be measured.
type operation struct {
	layer, name, variant string

	rig *rig
	// prepare makes what calls need. It is not measured.
	prepare func(ctx context.Context, n need) call
	beside  []beside
	// tool measures another way: it is a program of its own, and returns how many it did in a second.
	tool func(ctx context.Context, workers int, duration time.Duration) float64
	// server is the process that the work is done in, besides PostgreSQL; nil: this one.
	server func() int
}

// of returns an operation through one of the layers. The limit of all that write is a bare statement too.
func of(r *rig, layer, name, variant string) operation {
	through := map[string]func(context.Context, need, string) call{
		report.Limit: bare, report.Bare: bare, report.Packages: throughPackages, report.HTTP: overHTTP,
	}[layer]
	o := operation{layer: layer, name: name, variant: variant, rig: r, prepare: func(ctx context.Context, n need) call { return through(ctx, n, name) }}
	if layer == report.HTTP {
		o.server = func() int { return r.process.Pid() }
	}
	return o
}

// calling returns an operation that needs nothing else to be prepared.
func (o operation) calling(do call) operation {
	o.prepare = func(context.Context, need) call { return do }
	return o
}

func (o operation) key(group string, workers int) report.Key {
	key := report.Key{Layer: o.layer, Operation: o.name, Variant: o.variant, State: report.Steady, Group: group, Workers: workers}
	if o.rig != nil {
		key.Sessions = o.rig.Size
	}
	return key
}

// String names the operation for people who watch.
func (o operation) String() string {
	name := o.layer + ": " + o.name
	if o.variant != "" {
		name += " (" + o.variant + ")"
	}
	if o.rig != nil {
		name += ", " + report.Thousands(float64(o.rig.Size)) + " sessions"
	}
	return name
}

// bare sends an operation's own statement, on a connection for each worker.
func bare(ctx context.Context, n need, name string) call {
	callers := n.callers(ctx, n.workers, name)
	send := func(ctx context.Context, worker int, values ...any) { must.Do(callers[worker].Call(ctx, values...)) }
	switch name {
	case report.OneRow:
		return func(ctx context.Context, worker int) { send(ctx, worker, n.Rotating.Next().Pair) }
	case report.Create:
		return func(ctx context.Context, worker int) {
			send(ctx, worker, must.Get(uuid.NewV7()), must.Get(uuid.NewV7()))
		}
	case report.Get:
		return func(ctx context.Context, worker int) {
			s := n.Readers.Next()
			send(ctx, worker, s.ID, s.Pair)
		}
	case report.Refresh:
		return func(ctx context.Context, worker int) {
			s := n.Rotating.Next()
			send(ctx, worker, s.ID, s.Pair, s.Generation)
			s.Rotate("")
		}
	case report.Update:
		return n.updating(func(ctx context.Context, worker int, id uuid.UUID, now, next, data string) {
			send(ctx, worker, id, now, data, next)
		})
	default: // to revoke
		ending := once(n.Add(ctx, n.calls, 0))
		return func(ctx context.Context, worker int) { send(ctx, worker, ending()) }
	}
}

// throughPackages calls the Go API.
func throughPackages(ctx context.Context, n need, name string) call {
	n.openStore(ctx, n.workers)
	switch name {
	case report.Create:
		return func(ctx context.Context, _ int) {
			_, _, err := n.store.Create(ctx, sessionstore.CreateParams{
				Subject: "user-of-the-benchmark", Data: []byte(population.Data), Client: population.Client(),
			})
			must.Do(err)
		}
	case report.Get:
		return n.presenting(ctx, report.Packages, math.MaxInt, func(ctx context.Context, token string) {
			_, _, err := n.store.Get(ctx, token)
			must.Do(err)
		})
	case report.Refresh:
		n.rotatable(ctx) // the last pair may be the service's, with the grace that it wrote to the row
		return func(ctx context.Context, _ int) {
			s := n.Rotating.Next()
			refreshed := must.Get(n.store.RefreshTokens(ctx, n.RefreshToken(s), population.Client()))
			if refreshed.Outcome != sessionstore.Rotated {
				must.Do(fmt.Errorf("the outcome is %v, not a rotation", refreshed.Outcome))
			}
			s.Rotate(string(refreshed.Pair.RefreshToken))
		}
	case report.Update:
		return n.updating(func(ctx context.Context, _ int, id uuid.UUID, now, next, data string) {
			if got := must.Get(n.store.Update(ctx, id, now, []byte(data))); got != next {
				must.Do(fmt.Errorf("the checksum is %s, not %s", got, next))
			}
		})
	default: // to revoke
		ending := once(n.Add(ctx, n.calls, 0))
		return func(ctx context.Context, _ int) { must.Do(n.store.Invalidate(ctx, ending())) }
	}
}

// overHTTP calls the service.
func overHTTP(ctx context.Context, n need, name string) call {
	n.openService(ctx)
	switch name {
	case report.Create:
		const body = `{"subject":"user-of-the-benchmark","data":` + population.Data +
			`,"client":{"user_agent":"` + load.UserAgent + `","ip":"127.0.0.1"}}`
		return func(context.Context, int) { n.create(body) }
	case report.Get: // introspection: the strict check with the session's data
		return n.presenting(ctx, report.HTTP, math.MaxInt, func(_ context.Context, token string) {
			body := n.internal(http.StatusOK, load.Request{Method: http.MethodPost, Path: "/oauth2/introspect", Type: load.Form, Body: "token=" + token})
			if !strings.HasPrefix(string(body), `{"active":true`) {
				must.Do(fmt.Errorf("the token is not active: %s", body))
			}
		})
	case report.Load:
		return func(context.Context, int) {
			n.internal(http.StatusOK, load.Request{Method: http.MethodGet, Path: "/v1/sessions/" + n.Readers.Next().ID.String()})
		}
	case report.Refresh:
		n.rotatable(ctx)
		return func(context.Context, int) { n.rotate(n.Rotating.Next()) }
	case report.Update:
		return n.updating(func(_ context.Context, _ int, id uuid.UUID, now, _, data string) {
			path := "/v1/sessions/" + id.String() + "/data"
			n.internal(http.StatusOK, load.Request{Method: http.MethodPut, Path: path, IfMatch: `"` + now + `"`, Type: load.JSON, Body: data})
		})
	default:
		ending := once(n.Add(ctx, n.calls, 0))
		return func(context.Context, int) { n.revoke(ending().String()) }
	}
}

// updating changes the data of one session after the other, there and back.
func (n need) updating(update func(ctx context.Context, worker int, id uuid.UUID, now, next, data string)) call {
	return func(ctx context.Context, worker int) {
		s := n.Readers.Next()
		now, next, data := n.Checksums(s)
		update(ctx, worker, s.ID, now, next, data)
		s.Other = !s.Other
	}
}

// internal sends a backend's request to the service.
func (r *rig) internal(want int, request load.Request) []byte {
	request.Authorization = "Bearer " + service.Key
	return must.Get(r.process.Internal.Send(want, request))
}

func (r *rig) create(body string) []byte {
	return r.internal(http.StatusCreated, load.Request{Method: http.MethodPost, Path: "/v1/sessions", Type: load.JSON, Body: body})
}

func (r *rig) revoke(id string) {
	r.internal(http.StatusNoContent, load.Request{Method: http.MethodDelete, Path: "/v1/sessions/" + id})
}

// refreshing is the request of a client with a refresh token.
func refreshing(token string) load.Request {
	return load.Request{Method: http.MethodPost, Path: "/oauth2/token", Type: load.Form, Body: "grant_type=refresh_token&refresh_token=" + token}
}

// rotate sends a client's refresh token to the service.
func (r *rig) rotate(s *population.Session) {
	if time.Since(s.Rotated) < settled {
		must.Do(load.ErrUsedUp)
	}
	token := r.RefreshToken(s)
	next := must.Get(load.Member(must.Get(r.process.Public.Send(http.StatusOK, refreshing(token))), "refresh_token"))
	must.Hold(next != token, "the answer is the same pair, not a rotation") // one that is still fresh is answered again
	s.Rotate(next)
}
