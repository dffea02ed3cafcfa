package main

import (
	"context"
	"net/http"

	"github.com/latchkey-sessions/latchkey/bench/internal/limits"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// limitOperations are the same request as a refresh, to servers that do less than a refresh takes.
func limitOperations(server *limits.Server) []operation {
	return []operation{
		limitOperation(server, report.Handler, server.Bare, "/", server.Tokens[limits.EdDSA]),
		limitOperation(server, report.ChiEdDSA, server.Chi, limits.EdDSA, server.Tokens[limits.EdDSA]),
		limitOperation(server, report.ChiHS256, server.Chi, limits.HS256, server.Tokens[limits.HS256]),
	}
}

func limitOperation(server *limits.Server, name, address, path, token string) operation {
	var conns []*load.Conn
	var all []*request
	return operation{
		layer: report.Limit, name: name, server: server.Pid,
		prepare: func(_ context.Context, workers, _ int) error {
			for len(conns) < workers {
				conn, err := load.Dial(address)
				if err != nil {
					return err
				}
				conns = append(conns, conn)
			}
			all = requests(conns[:workers])
			for _, request := range all {
				request.to(http.MethodPost, path, "").with(formType, "grant_type=refresh_token&refresh_token=", token)
			}
			return nil
		},
		do: func(_ context.Context, worker int) error {
			_, err := all[worker].send(http.StatusOK)
			return err
		},
	}
}
