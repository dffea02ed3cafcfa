package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
)

// besideSCS measures introspection and updates in turn with the middleware of scs, which loads the session of a request
// too: each has as many sessions, and the same load.
func (b *bench) besideSCS(ctx context.Context) {
	ours := b.main
	server := servers.Start(ctx, servers.SCS{
		DatabaseURL: b.cluster.Create(ctx, "scs"), Connections: b.cfg.mainWorkers(), Sessions: ours.Size, Data: population.Data,
	})
	defer server.Stop()
	sending := func(name, method string) operation {
		return operation{layer: report.SCS, name: name, rig: ours, server: server.Pid}.calling(func(context.Context, int) {
			cookie := server.Cookies[rand.IntN(len(server.Cookies))] //nolint:gosec // which session is read is no secret
			body := must.Get(server.Send(http.StatusOK, load.Request{Method: method, Path: servers.Session, Cookie: cookie}))
			if string(body) != population.Data {
				must.Do(fmt.Errorf("it answered %q", body))
			}
		})
	}
	read, readWrite := sending("read over HTTP", http.MethodGet), sending("read and write over HTTP", http.MethodPost)
	for _, workers := range b.cfg.workers {
		group := report.At(report.SCSGroup, workers)
		_, duration := b.turn(workers)
		b.inTurn(ctx, group, workers, b.cfg.rounds, duration,
			[]operation{read, of(ours, report.HTTP, report.Get, report.Seen), of(ours, report.HTTP, report.Update, ""), readWrite})
		for _, o := range []operation{read, readWrite} {
			row := b.gather(o.key(group, workers)).row()
			row.Note = fmt.Sprintf("%s, CPU of the server %.0f µs per request", server.Versions, row.ServerCPU)
			b.results.Rivals = append(b.results.Rivals, row)
		}
	}
}

//go:embed rivals/compas/package.json rivals/compas/package-lock.json rivals/compas/bench.mjs rivals/compas/schema.sql
var compasFiles embed.FS

// compas measures @compas/store. Without Node or a registry it is left out, and the report says so.
func (b *bench) compas(ctx context.Context) {
	var rows []report.Row
	if err := must.Run(func() { rows = b.callCompas(ctx) }); err != nil {
		must.Do(ctx.Err())
		missing := strings.ReplaceAll(fmt.Sprintf("%s: %v", report.Compas, err), "\n", " ") // of npm
		b.results.Missing = append(b.results.Missing, missing)
		b.say("%s", missing)
	}
	b.results.Rivals = append(rows, b.results.Rivals...)
}

// callCompas measures the functions of @compas/store that create, get and refresh a session, in a Node process: each for
// the configured duration, after a warm-up of a quarter of it, with as many callers and connections as there are workers, and with at
// least as many sessions. The package is installed from the npm registry. See rivals/README.md.
func (b *bench) callCompas(ctx context.Context) (rows []report.Row) {
	const (
		functions       = 3
		installPatience = 3 * time.Minute
		fillPatience    = 5 * time.Minute // to make the sessions, which is not measured
	)
	database := must.Get(pgx.ParseConfig(b.cluster.Create(ctx, "compas")))
	input := must.Get(json.Marshal(map[string]any{
		"connection": map[string]any{
			"host": database.Host, "port": database.Port, "user": database.User, "password": database.Password, "database": database.Database, "ssl": false,
		},
		"row":     report.Key{Layer: report.Compas, State: report.Steady, Group: report.CompasGroup, Sessions: b.cfg.mainSize()},
		"workers": b.cfg.workers, "seconds": b.cfg.duration.Seconds(), "data": json.RawMessage(population.Data),
	}))
	dir := must.Get(os.MkdirTemp(b.dir, "compas-"))
	must.Do(os.CopyFS(dir, must.Get(fs.Sub(compasFiles, "rivals/compas"))))
	run := func(patience time.Duration, name string, args ...string) []byte {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, name, args...) //nolint:gosec // npm or node
		cmd.Dir, cmd.Stdin, cmd.WaitDelay = dir, bytes.NewReader(input), time.Second
		return must.Output(cmd)
	}
	run(installPatience, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
	output := run(time.Duration(functions*len(b.cfg.workers))*b.cfg.duration*5/4+fillPatience, "node", "bench.mjs")
	must.Do(json.Unmarshal(output, &rows))
	must.Hold(len(rows) == functions*len(b.cfg.workers), "it printed %q", output)
	return rows
}

// limitOperations are what any service with a database and signed tokens has to do: the same request as a refresh, to
// servers that do less than a refresh takes, and statements by PostgreSQL's own tool. They end with the rig.
func (b *bench) limitOperations(ctx context.Context, r *rig) []operation {
	s := r.Rotating.Ahead(1)[0]
	token := r.RefreshToken(s)
	// As long an answer, and as many claims, as a refresh has.
	server := servers.Start(ctx, servers.Limits{
		Answer: fmt.Sprintf(`{"access_token":%q,"token_type":"Bearer","expires_in":43200,"refresh_token":%q,"refresh_expires_in":2592000}`, token, token),
		Claims: jwt.RegisteredClaims{
			Issuer: population.Issuer, Subject: "user-of-the-benchmark", Audience: jwt.ClaimStrings{population.Issuer + "/oauth2/token"},
			ExpiresAt: jwt.NewNumericDate(time.Now().Add(24 * time.Hour)), IssuedAt: jwt.NewNumericDate(time.Now()), ID: s.Pair.String(),
		},
	})
	r.onClose(server.Stop)

	var all []operation
	for _, handler := range []struct{ name, path string }{
		{"net/http handler", servers.Bare}, {"chi and golang-jwt, EdDSA", servers.EdDSA}, {"chi and golang-jwt, HS256", servers.HS256},
	} {
		request := refreshing(server.Tokens[handler.path])
		request.Path = handler.path
		all = append(all, operation{layer: report.Limit, name: handler.name, server: server.Pid}.calling(func(context.Context, int) {
			must.Get(server.Send(http.StatusOK, request))
		}))
	}
	return append(all,
		b.pgbench(r, "the same by pgbench", r.statements[report.OneRow].Text("bench_pair(:i)")),
		b.pgbench(r, "get by pgbench", r.statements[report.Get].Text("bench_session(:i)", "bench_pair(:i)")),
	)
}

var transactionsPerSecond = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial`)

// pgbench is a second opinion on how much can be done. Its sessions are drawn from all, not from the sample.
func (b *bench) pgbench(r *rig, name, statement string) operation {
	return operation{
		layer: report.Limit, name: name, rig: r,
		tool: func(ctx context.Context, workers int, duration time.Duration) float64 {
			cmd := exec.CommandContext(ctx, filepath.Join(b.cluster.Programs.Bin, "pgbench"), "-n", "-M", "prepared", "-c", strconv.Itoa(workers), //nolint:gosec // PostgreSQL's own
				"-j", strconv.Itoa(min(workers, runtime.NumCPU())),
				"-T", strconv.Itoa(int(max(duration.Round(time.Second), time.Second)/time.Second)), "-f", "-", r.URL)
			cmd.Stdin = strings.NewReader(fmt.Sprintf("\\set i random(0, %d)\n%s;\n", r.Size-1, statement))
			output := must.Output(cmd)
			match := transactionsPerSecond.FindSubmatch(output)
			must.Hold(match != nil, "pgbench printed %q", output)
			return must.Get(strconv.ParseFloat(string(match[1]), 64))
		},
	}.calling(nil)
}
