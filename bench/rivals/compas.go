package rivals

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// CompasName is @compas/store's name in results.
	CompasName = "@compas/store"

	installPatience = 3 * time.Minute
	// fillPatience is what making the sessions may take, besides the measured time.
	fillPatience = 5 * time.Minute
	compasPhases = 3
)

// ErrNoNode means that the machine has no Node to run @compas/store with, or no npm to install it.
var ErrNoNode = errors.New("needs node and npm in the PATH")

//go:embed compas/package.json compas/package-lock.json compas/bench.mjs compas/schema.sql
var compasFiles embed.FS

// Compas measures the functions of @compas/store that create, get and refresh a session, called in a Node process of
// their own. It installs the package from the npm registry into a folder that is removed afterwards.
func Compas(ctx context.Context, cfg Config) ([]Result, error) {
	results, err := compas(ctx, cfg)
	if err != nil {
		return results, fmt.Errorf("%s: %w", CompasName, err)
	}

	return results, nil
}

func compas(ctx context.Context, cfg Config) ([]Result, error) {
	if err := cfg.check(ctx); err != nil {
		return nil, err
	}
	input, err := compasInput(cfg)
	if err != nil {
		return nil, err
	}

	dir, err := os.MkdirTemp("", "latchkey-bench-compas-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // below the system's temporary folder, at worst it stays there
	cfg.Log(CompasName + ": npm ci")
	if err := installCompas(ctx, dir); err != nil {
		return nil, err
	}

	return runCompas(ctx, cfg, dir, input)
}

// compasInput is what bench.mjs reads.
func compasInput(cfg Config) ([]byte, error) {
	parsed, err := pgx.ParseConfig(cfg.DatabaseURL)
	if err != nil {
		return nil, err
	}
	connection := map[string]any{
		"host": parsed.Host, "port": parsed.Port, "user": parsed.User, "password": parsed.Password, "database": parsed.Database,
		"ssl": false,
	}
	if parsed.TLSConfig != nil && len(parsed.Fallbacks) == 0 {
		connection["ssl"] = "require"
	}

	return json.Marshal(map[string]any{
		"connection": connection,
		"callers":    cfg.Connections,
		"seconds":    cfg.Duration.Seconds(),
		"sessions":   cfg.Sessions,
		"data":       json.RawMessage(cfg.Data),
	})
}

func installCompas(ctx context.Context, dir string) error {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %w", ErrNoNode, err)
		}
	}
	files, err := fs.Sub(compasFiles, "compas")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, files); err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, installPatience)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error")
	npm.Dir = dir
	npm.WaitDelay = time.Second
	if output, err := npm.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w: %s", errors.Join(err, ctx.Err()), tail(output))
	}

	return nil
}

// compasLine is a line that bench.mjs writes: the versions first, then a result for each operation.
type compasLine struct {
	Versions *struct {
		Store string `json:"store"`
		Node  string `json:"node"`
	} `json:"versions"`
	Operation string  `json:"operation"`
	PerSecond float64 `json:"perSecond"`
	P50ms     float64 `json:"p50ms"`
	P99ms     float64 `json:"p99ms"`
	CPUMicros float64 `json:"cpuMicros"`
}

func runCompas(ctx context.Context, cfg Config, dir string, input []byte) ([]Result, error) {
	ctx, cancel := context.WithTimeout(ctx, compasPhases*cfg.Duration*5/4+fillPatience)
	defer cancel()

	var stderr bytes.Buffer
	node := exec.CommandContext(ctx, "node", "bench.mjs")
	node.Dir = dir
	node.Stdin = bytes.NewReader(input)
	node.Stderr = &stderr
	node.WaitDelay = time.Second
	stdout, err := node.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := node.Start(); err != nil {
		return nil, err
	}

	var results []Result
	var versions string
	var readErr error
	for lines := bufio.NewScanner(stdout); readErr == nil && lines.Scan(); {
		var line compasLine
		switch readErr = json.Unmarshal(lines.Bytes(), &line); {
		case readErr != nil:
			readErr = fmt.Errorf("it printed %q", lines.Text())
			cancel()
		case line.Versions != nil:
			versions = fmt.Sprintf("%s on Node %s", line.Versions.Store, line.Versions.Node)
		default:
			result := Result{
				Name: CompasName, Operation: line.Operation, PerSecond: line.PerSecond, P50ms: line.P50ms, P99ms: line.P99ms,
				Note: fmt.Sprintf("%s, CPU of the process %.0f µs a call", versions, line.CPUMicros),
			}
			result.log(cfg.Log)
			results = append(results, result)
		}
	}
	err = node.Wait()
	if readErr != nil {
		return results, readErr
	}
	if err != nil {
		return results, fmt.Errorf("%w: %s", errors.Join(err, ctx.Err()), tail(stderr.Bytes()))
	}
	if len(results) != compasPhases {
		return results, fmt.Errorf("it printed %d results, and ended", len(results))
	}

	return results, nil
}

// tail returns the end of what a program said, which is where the reason stands.
func tail(output []byte) string {
	const enough = 2000
	if len(output) > enough {
		output = output[len(output)-enough:]
	}

	return strings.TrimSpace(string(output))
}
