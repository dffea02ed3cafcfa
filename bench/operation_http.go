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
	report.Create: func(ctx context.Context, n need) (call, error) {
		const body = `{"subject":"user-of-the-benchmark","data":` + population.Data +
			`,"client":{"user_agent":"` + load.UserAgent + `","ip":"127.0.0.1"}}`
		return func(context.Context, int) error {
			_, err := n.internal(http.StatusCreated, load.Request{Method: http.MethodPost, Path: "/v1/sessions", Type: load.JSON, Body: body})
			return err
		}, n.openService(ctx)
	},
	// Introspection: the strict check with the session's data.
	report.Get: func(ctx context.Context, n need) (call, error) {
		if err := n.openService(ctx); err != nil {
			return nil, err
		}
		return n.presenting(ctx, report.HTTP, math.MaxInt, func(_ context.Context, token string) error {
			body, err := n.internal(http.StatusOK, load.Request{Method: http.MethodPost, Path: "/oauth2/introspect", Type: load.Form, Body: "token=" + token})
			if err == nil && !strings.HasPrefix(string(body), `{"active":true`) {
				err = fmt.Errorf("the token is not active: %s", body)
			}
			return err
		})
	},
	report.Load: func(ctx context.Context, n need) (call, error) {
		return func(context.Context, int) error {
			path := "/v1/sessions/" + n.Readers.Next().ID.String()
			_, err := n.internal(http.StatusOK, load.Request{Method: http.MethodGet, Path: path})
			return err
		}, n.openService(ctx)
	},
	report.Refresh: func(ctx context.Context, n need) (call, error) {
		return func(context.Context, int) error {
			s := n.Rotating.Next()
			if time.Since(s.Rotated) < settled {
				return load.ErrUsedUp
			}
			token, err := n.RefreshToken(s)
			if err != nil {
				return err
			}
			body, err := n.toPublic.Send(http.StatusOK, load.Request{
				Method: http.MethodPost, Path: "/oauth2/token", Type: load.Form, Body: "grant_type=refresh_token&refresh_token=" + token,
			})
			if err != nil {
				return err
			}
			next, err := load.Member(body, "refresh_token")
			if err != nil {
				return err
			}
			if next == token { // a pair that is still fresh is answered again
				return errors.New("the answer is the same pair, not a rotation")
			}
			s.Rotate(next)
			return nil
		}, errors.Join(n.openService(ctx), n.signAhead(n.calls), n.settle(ctx, n.calls))
	},
	report.Update: func(ctx context.Context, n need) (call, error) {
		return func(context.Context, int) error {
			s := n.Readers.Next()
			now, _, data := n.Checksums(s)
			path := "/v1/sessions/" + s.ID.String() + "/data"
			_, err := n.internal(http.StatusOK, load.Request{Method: http.MethodPut, Path: path, IfMatch: now, Type: load.JSON, Body: data})
			if err == nil {
				s.Other = !s.Other
			}
			return err
		}, n.openService(ctx)
	},
	report.Revoke: func(ctx context.Context, n need) (call, error) {
		ending, err := n.ending(ctx, n.calls)
		return func(context.Context, int) error {
			id, err := ending()
			if err != nil {
				return err
			}
			_, err = n.internal(http.StatusNoContent, load.Request{Method: http.MethodDelete, Path: "/v1/sessions/" + id.String()})
			return err
		}, errors.Join(err, n.openService(ctx))
	},
}

// internal sends a backend's request.
func (r *rig) internal(want int, request load.Request) ([]byte, error) {
	request.Bearer = service.Key

	return r.toInternal.Send(want, request)
}
