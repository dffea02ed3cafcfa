package testdb_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// role makes the test binary run as a child of one of its own tests, which that test observes from outside.
const role = "TESTDB_TEST_ROLE"

// serverIs introduces the URL of the child's database in what it prints.
const serverIs = "the server: "

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

func TestPoolHasTheSchema(t *testing.T) {
	t.Parallel()

	if err := migrations.Check(t.Context(), testdb.Pool(t)); err != nil {
		t.Error(err)
	}
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()

	const databases = 6
	var pools []*pgxpool.Pool
	for range databases {
		pools = append(pools, testdb.Pool(t))
	}
	for i, pool := range pools {
		if _, err := pool.Exec(t.Context(), `CREATE TABLE mine AS SELECT $1::int AS n`, i); err != nil {
			t.Fatalf("database %d is not its own: %v", i, err)
		}
	}
	for i, pool := range pools {
		if got := queryInt(t, pool, `SELECT n FROM mine`); got != i {
			t.Errorf("database %d holds %d", i, got)
		}
	}
}

// Tests ask for databases at once, and each of them needs the template for itself.
func TestDatabasesAtOnce(t *testing.T) {
	t.Parallel()

	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			if got := queryInt(t, testdb.Pool(t), `SELECT 1`); got != 1 {
				t.Errorf("got %d", got)
			}
		})
	}
}

func TestDatabaseIsDropped(t *testing.T) {
	t.Parallel()

	var name string
	t.Run("user", func(t *testing.T) { // not parallel: what comes after it needs its cleanup done
		if err := testdb.Pool(t).QueryRow(t.Context(), `SELECT current_database()`).Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	pool := testdb.Pool(t)
	var there bool
	if err := pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there); err != nil {
		t.Fatal(err)
	}
	if there || name == "" {
		t.Errorf("database %q is still there", name)
	}
}

func TestServerComesBackWithItsData(t *testing.T) {
	t.Parallel()

	server := testdb.NewServer(t)
	url, pool := server.URL(), server.Pool()
	if err := migrations.Check(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `CREATE TABLE survivors (n int)`); err != nil {
		t.Fatal(err)
	}

	for round, end := range []func(){server.Stop, server.Kill, server.Kill} {
		if _, err := pool.Exec(t.Context(), `INSERT INTO survivors VALUES ($1)`, round); err != nil {
			t.Fatal(err)
		}
		end()
		if err := pool.Ping(t.Context()); err == nil {
			t.Fatalf("round %d: the server still answers", round)
		}
		server.Start()
		if server.URL() != url {
			t.Fatalf("round %d: the server is at %s now, and was at %s", round, server.URL(), url)
		}
		ping(t, pool)
		if got := queryInt(t, pool, `SELECT count(*) FROM survivors`); got != round+1 {
			t.Fatalf("round %d: %d rows", round, got)
		}
	}
}

// A test that panics ends its binary at once: neither cleanups nor the rest of Main run.
func TestPanicLeavesNothingBehind(t *testing.T) {
	if os.Getenv(role) == "panic" {
		fmt.Println(serverIs + testdb.URL(t))
		panic("as a broken test does")
	}
	t.Parallel()

	temp := t.TempDir()
	if err := os.Chmod(filepath.Dir(temp), 0o711); err != nil { // as root, another user runs the server
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPanicLeavesNothingBehind$")
	child.Env = append(os.Environ(), role+"=panic", "TMPDIR="+temp, "TEST_DATABASE_URL=")
	output, err := child.CombinedOutput()
	if err == nil || !strings.Contains(string(output), "as a broken test does") {
		t.Fatalf("the child did not panic as it should (%v): %s", err, output)
	}

	_, url, _ := strings.Cut(string(output), serverIs)
	url, _, _ = strings.Cut(url, "\n")
	if _, err := pgx.ParseConfig(url); err != nil || url == "" {
		t.Fatalf("the child names no server (%v): %s", err, output)
	}

	var left []os.DirEntry
	answers := true
	for began := time.Now(); time.Since(began) < time.Minute; time.Sleep(20 * time.Millisecond) {
		if left, err = os.ReadDir(temp); err != nil {
			t.Fatal(err)
		}
		conn, err := pgx.Connect(t.Context(), url)
		if answers = err == nil; answers {
			if err := conn.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if len(left) == 0 && !answers {
			return
		}
	}
	t.Errorf("left behind: %v; its server still answers: %t", left, answers)
}

// A resource that is not available fails a test; it neither skips nor passes.
func TestNoDatabaseFails(t *testing.T) {
	if os.Getenv(role) == "none" {
		testdb.URL(t)
		return
	}
	t.Parallel()

	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoDatabaseFails$")
	child.Env = append(os.Environ(), role+"=none", "TEST_POSTGRES=elsewhere")
	output, err := child.CombinedOutput()
	if err == nil {
		t.Errorf("the child passed: %s", output)
	}
	const want = `no database for tests: TEST_POSTGRES is "elsewhere": it must be container, or unset`
	if !strings.Contains(string(output), want) {
		t.Errorf("got %s, want %s", output, want)
	}
}

// ping waits for the pool to notice that its old connections are gone.
func ping(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for pool.Ping(ctx) != nil {
		if ctx.Err() != nil {
			t.Fatal("the server does not answer again")
		}
	}
}

func queryInt(t *testing.T, pool *pgxpool.Pool, query string) int {
	t.Helper()

	var n int
	if err := pool.QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}

	return n
}
