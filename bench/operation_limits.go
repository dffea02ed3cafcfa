package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
)

// limitOperations are what any service with a database and signed tokens has to do: the same request as a refresh, to
// servers that do less than a refresh takes, and statements by PostgreSQL's own tool. They end with the rig.
func (b *bench) limitOperations(ctx context.Context, r *rig) []operation {
	s := r.Rotating.Ahead(1)[0]
	token := r.RefreshToken(s)
	// As long an answer, and as many claims, as a refresh has.
	server := servers.Start(ctx, servers.Config{Limits: &servers.Limits{
		Answer: fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":43200,"refresh_token":%q,"refresh_expires_in":2592000}`, token, token),
		Claims: jwt.RegisteredClaims{
			Issuer: population.Issuer, Subject: "user-of-the-benchmark", Audience: jwt.ClaimStrings{population.Issuer + "/oauth2/token"},
			ExpiresAt: jwt.NewNumericDate(time.Now().Add(24 * time.Hour)), IssuedAt: jwt.NewNumericDate(time.Now()), ID: s.Pair.String(),
		},
	}})
	r.onClose(server.Stop)

	var all []operation
	for _, handler := range []struct{ name, path string }{
		{report.Handler, servers.Bare}, {report.ChiEdDSA, servers.EdDSA}, {report.ChiHS256, servers.HS256},
	} {
		body := "grant_type=refresh_token&refresh_token=" + server.Tokens[servers.EdDSA]
		if handler.path == servers.HS256 {
			body = "grant_type=refresh_token&refresh_token=" + server.Tokens[servers.HS256]
		}
		request := load.Request{Method: http.MethodPost, Path: handler.path, Type: load.Form, Body: body}
		all = append(all, operation{
			layer: report.Limit, name: handler.name, server: server.Pid,
			prepare: func(context.Context, need) call {
				client := load.NewClient(server.Address)
				return func(context.Context, int) { must.Get(client.Send(http.StatusOK, request)) }
			},
		})
	}
	id, pair := population.IDExpression(":i"), population.PairIDExpression(":i")

	return append(all,
		b.pgbench(r, report.OneRowTool, r.statements[report.OneRow].Text(pair)),
		b.pgbench(r, report.GetTool, r.statements[report.Get].Text(id, pair)),
	)
}

var transactionsPerSecond = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial`)

// pgbench is a second opinion on how much can be done. Its sessions are drawn from all, not from the sample.
func (b *bench) pgbench(r *rig, name, statement string) operation {
	file := filepath.Join(b.dir, name+".sql")

	return operation{
		layer: report.Limit, name: name, rig: r,
		prepare: func(context.Context, need) call {
			must.Do(os.WriteFile(file, fmt.Appendf(nil, "\\set i random(0, %d)\n%s;\n", r.Size-1, statement), 0o600))
			return nil
		},
		tool: func(ctx context.Context, workers int, duration time.Duration) float64 {
			cmd := exec.CommandContext(ctx, b.cluster.Program("pgbench"), "-n", "-M", "prepared", "-c", strconv.Itoa(workers), //nolint:gosec // PostgreSQL's own
				"-j", strconv.Itoa(min(workers, runtime.NumCPU())),
				"-T", strconv.Itoa(int(max(duration.Round(time.Second), time.Second)/time.Second)), "-f", file, r.URL)
			output, err := cmd.CombinedOutput()
			match := transactionsPerSecond.FindSubmatch(output)
			if err != nil || match == nil {
				must.Do(fmt.Errorf("pgbench: %w\n%s", err, output))
			}
			return must.Get(strconv.ParseFloat(string(match[1]), 64))
		},
	}
}
