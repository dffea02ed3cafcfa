package main

import (
	"context"
	"errors"
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

	"github.com/latchkey-sessions/latchkey/bench/internal/limits"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// limitOperations are what any service with a database and signed tokens has to do: the same request as a refresh, to
// servers that do less than a refresh takes, and statements by PostgreSQL's own tool. The function ends the server.
func (b *bench) limitOperations(ctx context.Context, r *rig) ([]operation, func(), error) {
	s := r.Rotating.Ahead(1)[0]
	token, err := r.RefreshToken(s)
	if err != nil {
		return nil, nil, err
	}
	// As long an answer, and as many claims, as a refresh has.
	answer := fmt.Appendf(nil, `{"access_token":%q,"token_type":"Bearer","expires_in":43200,"refresh_token":%q,"refresh_expires_in":2592000}`, token, token)
	server, err := limits.Start(ctx, answer, jwt.RegisteredClaims{
		Issuer: population.Issuer, Subject: "user-of-the-benchmark", Audience: jwt.ClaimStrings{population.Issuer + "/oauth2/token"},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(24 * time.Hour)), IssuedAt: jwt.NewNumericDate(time.Now()),
		ID: r.RefreshRow(s).String(),
	})
	if err != nil {
		return nil, nil, err
	}
	stop := func() { _ = server.Stop() } // nothing depends on how it ends

	var all []operation
	for _, handler := range []struct{ name, address, path, token string }{
		{report.Handler, server.Bare, "/", server.Tokens[limits.EdDSA]},
		{report.ChiEdDSA, server.Chi, limits.EdDSA, server.Tokens[limits.EdDSA]},
		{report.ChiHS256, server.Chi, limits.HS256, server.Tokens[limits.HS256]},
	} {
		request := load.Request{
			Method: http.MethodPost, Path: handler.path, Type: load.Form, Body: "grant_type=refresh_token&refresh_token=" + handler.token,
		}
		all = append(all, sending(operation{layer: report.Limit, name: handler.name, server: server.Pid},
			func() string { return handler.address }, func() load.Request { return request }))
	}
	row := r.RefreshRowExpression(":i")
	for _, tool := range []struct {
		name, of    string
		expressions []string
	}{{report.OneRowTool, report.OneRow, []string{row}}, {report.GetTool, report.Get, []string{population.IDExpression(":i", 0), row}}} {
		statement, err := r.statements[tool.of].Text(tool.expressions...)
		if err != nil {
			stop()
			return nil, nil, err
		}
		all = append(all, b.pgbench(r, tool.name, filepath.Join(b.dir, tool.name+".sql"), statement))
	}

	return all, stop, nil
}

var transactionsPerSecond = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial`)

// pgbench is a second opinion on how much can be done. Its sessions are drawn from all, not from the sample.
func (b *bench) pgbench(r *rig, name, file, statement string) operation {
	return operation{
		layer: report.Limit, name: name, rig: r,
		prepare: func(context.Context, need) (call, error) {
			script := fmt.Sprintf("\\set i random(0, %d)\n%s;\n", r.Size-1, statement)
			return nil, os.WriteFile(file, []byte(script), 0o600)
		},
		tool: func(ctx context.Context, workers int, duration time.Duration) (float64, error) {
			cmd := exec.CommandContext(ctx, b.cluster.Program("pgbench"), "-n", "-M", "prepared", "-c", strconv.Itoa(workers), //nolint:gosec // PostgreSQL's own
				"-j", strconv.Itoa(min(workers, runtime.NumCPU())),
				"-T", strconv.Itoa(int(max(duration.Round(time.Second), time.Second)/time.Second)), "-f", file, r.URL)
			output, err := cmd.CombinedOutput()
			if err != nil {
				return 0, fmt.Errorf("pgbench: %w\n%s", err, output)
			}
			match := transactionsPerSecond.FindSubmatch(output)
			if match == nil {
				return 0, errors.New("pgbench does not say how much it did")
			}
			return strconv.ParseFloat(string(match[1]), 64)
		},
	}
}
