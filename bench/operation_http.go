package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
)

// settled is after what time the service rotates a pair again: three times its grace, and a margin.
const settled = 3*service.Grace + 200*time.Millisecond

// smallTable is up to how many sessions all of them may be changed between two measurements.
const smallTable = 100_000

// overHTTP are the operations of the service.
var overHTTP = map[string]preparer{
	report.Create: func(ctx context.Context, n need) call {
		const body = `{"subject":"user-of-the-benchmark","data":` + population.Data +
			`,"client":{"user_agent":"` + load.UserAgent + `","ip":"127.0.0.1"}}`
		n.openService(ctx)
		return func(context.Context, int) {
			n.internal(http.StatusCreated, load.Request{Method: http.MethodPost, Path: "/v1/sessions", Type: load.JSON, Body: body})
		}
	},
	// Introspection: the strict check with the session's data.
	report.Get: func(ctx context.Context, n need) call {
		n.openService(ctx)
		return n.presenting(ctx, report.HTTP, math.MaxInt, func(_ context.Context, token string) {
			body := n.internal(http.StatusOK, load.Request{Method: http.MethodPost, Path: "/oauth2/introspect", Type: load.Form, Body: "token=" + token})
			if !strings.HasPrefix(string(body), `{"active":true`) {
				must.Do(fmt.Errorf("the token is not active: %s", body))
			}
		})
	},
	report.Load: func(ctx context.Context, n need) call {
		n.openService(ctx)
		return func(context.Context, int) {
			n.internal(http.StatusOK, load.Request{Method: http.MethodGet, Path: "/v1/sessions/" + n.Readers.Next().ID.String()})
		}
	},
	report.Refresh: func(ctx context.Context, n need) call {
		n.openService(ctx)
		n.signAhead(n.calls)
		n.settle(ctx, n.calls)
		return func(context.Context, int) {
			s := n.Rotating.Next()
			if time.Since(s.Rotated) < settled {
				must.Do(load.ErrUsedUp)
			}
			token := n.RefreshToken(s)
			next := must.Get(load.Member(must.Get(n.toPublic.Send(http.StatusOK, load.Request{
				Method: http.MethodPost, Path: "/oauth2/token", Type: load.Form, Body: "grant_type=refresh_token&refresh_token=" + token,
			})), "refresh_token"))
			if next == token { // a pair that is still fresh is answered again
				must.Do(errors.New("the answer is the same pair, not a rotation"))
			}
			s.Rotate(next)
		}
	},
	report.Update: func(ctx context.Context, n need) call {
		n.openService(ctx)
		return func(context.Context, int) {
			s := n.Readers.Next()
			now, _, data := n.Checksums(s)
			path := "/v1/sessions/" + s.ID.String() + "/data"
			n.internal(http.StatusOK, load.Request{Method: http.MethodPut, Path: path, IfMatch: now, Type: load.JSON, Body: data})
			s.Other = !s.Other
		}
	},
	report.Revoke: func(ctx context.Context, n need) call {
		n.openService(ctx)
		ending := n.ending(ctx, n.calls)
		return func(context.Context, int) {
			n.internal(http.StatusNoContent, load.Request{Method: http.MethodDelete, Path: "/v1/sessions/" + ending().String()})
		}
	},
}

// internal sends a backend's request.
func (r *rig) internal(want int, request load.Request) []byte {
	request.Bearer = service.Key

	return must.Get(r.toInternal.Send(want, request))
}
