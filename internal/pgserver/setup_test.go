//go:build unix

package pgserver_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
	"github.com/latchkey-sessions/latchkey/internal/testdir"
)

// ownerOf makes the test binary a process that owns the named folder until it is killed.
const ownerOf = "PGSERVER_TEST_OWNER_OF"

func TestMain(m *testing.M) {
	if dir := os.Getenv(ownerOf); dir != "" {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		server, err := pgserver.Start(ctx, config(dir))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		conn, err := pgx.Connect(ctx, server.URL("postgres"))
		if err == nil {
			err = conn.Close(ctx)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(server.URL("postgres"))
		select {}
	}
	code := m.Run()
	if err := os.RemoveAll(once.dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// folder returns an empty folder that every user may enter, unlike testing's own.
func folder(t *testing.T) string {
	t.Helper()

	dir, err := os.MkdirTemp(testdir.Fast(), "latchkey-pgserver-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}

	return dir
}

// once is a folder with a database, which takes longer to make than to copy.
var once struct {
	sync.Mutex

	dir string
}

// database returns a folder as [folder] does, with a database in it: for tests that are not about a first start.
func database(t *testing.T) string {
	t.Helper()

	dir := folder(t)
	addDatabase(t, dir)

	return dir
}

// addDatabase puts a database into an empty folder.
func addDatabase(t *testing.T, dir string) {
	t.Helper()

	home := filepath.Join(dir, "postgres")
	if err := os.Mkdir(home, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(home, 0o711); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	// Unlike os.CopyFS it keeps the owners.
	if output, err := exec.CommandContext(t.Context(), "cp", "-a", filepath.Join(made(t), "postgres", "data"), home).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

// made returns the folder whose database is copied.
func made(t *testing.T) string {
	t.Helper()
	once.Lock()
	defer once.Unlock()

	if once.dir != "" {
		return once.dir
	}
	dir, err := os.MkdirTemp(testdir.Fast(), "latchkey-pgserver-") //nolint:usetesting // it outlives the test
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	server, err := pgserver.Start(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	stop(t, server)
	once.dir = dir

	return dir
}

// config is for tests: the machine may not crash, the server may.
func config(dir string) pgserver.Config {
	return pgserver.Config{Dir: dir, Settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB",
		"dynamic_shared_memory_type": "mmap", // alongside the data: files that a killed server leaves elsewhere are not removed
	}}
}

func start(t *testing.T, dir string) *pgserver.Server {
	t.Helper()

	server, err := pgserver.Start(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, server) })

	return server
}

func stop(t *testing.T, server *pgserver.Server) {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// keep commits something that is looked for later.
func keep(t *testing.T, server *pgserver.Server) {
	t.Helper()

	conn := connect(t, server)
	if _, err := conn.Exec(t.Context(), `CREATE TABLE kept AS SELECT 42 AS n`); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// kept fails the test where what was committed is gone.
func kept(t *testing.T, server *pgserver.Server) {
	t.Helper()

	if got := query(t, server, `SELECT n FROM kept`); got != "42" {
		t.Errorf("got %s, want what was committed", got)
	}
}

// query returns the one value of a query as text.
func query(t *testing.T, server *pgserver.Server, question string) string {
	t.Helper()

	conn := connect(t, server)
	var value any
	if err := conn.QueryRow(t.Context(), question).Scan(&value); err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	return fmt.Sprint(value)
}

func connect(t *testing.T, server *pgserver.Server) *pgx.Conn {
	t.Helper()

	conn, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}

	return conn
}

func password(t *testing.T, server *pgserver.Server) string {
	t.Helper()

	u, err := url.Parse(server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	if len(secret) < 20 {
		t.Fatalf("the password %q can be guessed", secret)
	}

	return secret
}

func postmasterPID(t *testing.T, dir string) int {
	t.Helper()

	file, err := os.Open(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // it was only read
	line, err := bufio.NewReader(file).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}

	return pid
}

func owner(t *testing.T, name string) uint32 {
	t.Helper()

	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("no owner: %T", info.Sys())
	}

	return status.Uid
}

// takenPort returns a port that the test listens on.
func takenPort(t *testing.T) int {
	t.Helper()

	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() }) // no client was served
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("listens on %v", listener.Addr())
	}

	return address.Port
}
