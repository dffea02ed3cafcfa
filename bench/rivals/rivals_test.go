package rivals_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/rivals"
	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// The test binary is the server with scs as well.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == rivals.SCSArgument {
		if err := rivals.ServeSCS(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// newServer starts a PostgreSQL that keeps what it acknowledges, with an empty database.
func newServer(t *testing.T) string {
	t.Helper()

	dir, err := os.MkdirTemp("", "latchkey-rivals-") //nolint:usetesting // every user may enter it, unlike testing's own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // as root, another user runs the server
		t.Fatal(err)
	}
	server, err := pgserver.Start(t.Context(), pgserver.Config{Dir: dir, Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})

	return server.URL("postgres")
}

func config(t *testing.T, databaseURL string) rivals.Config {
	t.Helper()

	return rivals.Config{
		DatabaseURL: databaseURL, Connections: 4, Duration: 300 * time.Millisecond, Sessions: 40,
		Data: population.Data, Log: func(line string) { t.Log(line) },
	}
}

func TestRun(t *testing.T) {
	t.Parallel()

	results, err := rivals.Run(t.Context(), config(t, newServer(t)))
	if err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, result := range results {
		got = append(got, result.Name+" "+result.Operation)
		if result.PerSecond <= 0 || result.P50ms <= 0 || result.P99ms < result.P50ms || result.Note == "" {
			t.Errorf("no figures: %+v", result)
		}
	}
	want := []string{
		"@compas/store create", "@compas/store get", "@compas/store refresh",
		"alexedwards/scs read over HTTP", "alexedwards/scs read and write over HTTP",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
}

// A figure is worth nothing where commits may be lost, or where the rival failed.
func TestRefused(t *testing.T) {
	t.Parallel()

	good := newServer(t)
	conn, err := pgx.Connect(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `CREATE TABLE "sessionStore" (id int); CREATE TABLE sessions (id int)`); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	measure := map[string]func(context.Context, rivals.Config) ([]rivals.Result, error){"Compas": rivals.Compas, "SCS": rivals.SCS}
	for name, test := range map[string]struct {
		change func(*rivals.Config)
		want   string
	}{
		"no commit is kept": {func(c *rivals.Config) { c.DatabaseURL += "&synchronous_commit=off" }, "synchronous_commit is off"},
		"other tables":      {func(*rivals.Config) {}, "exist"},
		"too few sessions":  {func(c *rivals.Config) { c.Sessions = 3 }, "Config.Sessions"},
	} {
		for rival, run := range measure {
			cfg := config(t, good)
			test.change(&cfg)
			results, err := run(t.Context(), cfg)
			if err == nil || len(results) > 0 || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: %s: got %v and %v, want an error with %q", name, rival, results, err, test.want)
			}
		}
	}
}

// Who has no Node is told so, and may leave this one out.
func TestNoNode(t *testing.T) {
	databaseURL := newServer(t)
	t.Setenv("PATH", t.TempDir())

	if _, err := rivals.Compas(t.Context(), config(t, databaseURL)); !errors.Is(err, rivals.ErrNoNode) {
		t.Errorf("got %v, want %v", err, rivals.ErrNoNode)
	}
}
