package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// pgbenchOperations are second opinions, by PostgreSQL's own tool, on how much can be done. Its sessions are drawn from
// all, not from the sample.
func pgbenchOperations(r *rig, program, dir string) ([]operation, error) {
	p := r.population
	row := p.RefreshRowExpression(":i")
	get, err := r.statements.get.Text(population.IDExpression(":i", 0), row)
	if err != nil {
		return nil, err
	}
	oneRow, err := r.statements.oneRow.Text(row)
	if err != nil {
		return nil, err
	}

	return []operation{
		pgbench(r, report.OneRowTool, program, filepath.Join(dir, "one-row.sql"), oneRow),
		pgbench(r, report.GetTool, program, filepath.Join(dir, "get.sql"), get),
	}, nil
}

var transactionsPerSecond = regexp.MustCompile(`(?m)^tps = ([0-9.]+) \(without initial`)

func pgbench(r *rig, name, program, file, statement string) operation {
	return operation{
		layer: report.Limit, name: name, rig: r,
		prepare: func(context.Context, int, int) error {
			script := fmt.Sprintf("\\set i random(0, %d)\n%s;\n", r.population.Size-1, statement)
			return os.WriteFile(file, []byte(script), 0o600)
		},
		tool: func(ctx context.Context, workers int, duration time.Duration) (float64, error) {
			cmd := exec.CommandContext(ctx, program, "-n", "-M", "prepared", "-c", strconv.Itoa(workers), //nolint:gosec // PostgreSQL's own
				"-j", strconv.Itoa(min(workers, runtime.NumCPU())),
				"-T", strconv.Itoa(int(max(duration.Round(time.Second), time.Second)/time.Second)), "-f", file, r.population.URL)
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
