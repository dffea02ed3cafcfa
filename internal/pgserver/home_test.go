//go:build unix

package pgserver_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
)

// As root, the folder is one that only root can enter, and the data is elsewhere; as an ordinary user it is in the folder.
func TestFolderOfOneUser(t *testing.T) {
	t.Parallel()
	private := filepath.Join(folder(t), "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(private, "clone", "var") // Start makes it

	server := startAnywhere(t, dir)
	keep(t, server)
	home := realHome(t, dir)
	if inside := strings.HasPrefix(home, private); inside == (os.Geteuid() == 0) {
		t.Errorf("the data is in %s", home)
	}
	stop(t, server)

	again := startAnywhere(t, dir)
	kept(t, again)
	address, err := pgserver.Attach(t.Context(), dir)
	if err != nil || address.URL("x") != again.URL("x") {
		t.Errorf("attached to %s with %v, want %s", address, err, again)
	}
	stop(t, again)

	// Deleting the folder deletes the database, wherever that was.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	fresh := startAnywhere(t, dir)
	if got := query(t, fresh, `SELECT count(*) FROM pg_class WHERE relname = 'kept'`); got != "0" {
		t.Error("the deleted database is back")
	}
	if os.Geteuid() == 0 && realHome(t, dir) == home {
		t.Errorf("%s was adopted", home)
	}
	stop(t, fresh)
}

func TestHomeIsGone(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "postgres")); err != nil {
		t.Fatal(err)
	}

	_, err := pgserver.Start(t.Context(), config(dir))
	if err == nil || !strings.Contains(err.Error(), "remove the link to begin with an empty database") {
		t.Errorf("got %v, want what to do", err)
	}
}

func TestServerIsNotRoots(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	start(t, dir)

	// PostgreSQL itself refuses to run as root, or on data that is not its user's: that it runs is half of the proof.
	if os.Geteuid() != 0 {
		return
	}
	account, data := owner(t, dir), owner(t, filepath.Join(dir, "postgres", "data"))
	if account != 0 || data == 0 {
		t.Errorf("the folder belongs to uid %d and the data to uid %d", account, data)
	}
}

// startAnywhere also removes the data where it is outside of the test's folder.
func startAnywhere(t *testing.T, dir string) *pgserver.Server {
	t.Helper()

	server, err := pgserver.Start(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	home := realHome(t, dir)
	t.Cleanup(func() {
		stop(t, server)
		if err := os.RemoveAll(home); err != nil {
			t.Error(err)
		}
		_ = os.Remove(filepath.Dir(home)) // where nothing else is in it, the test had made it
	})

	return server
}

func realHome(t *testing.T, dir string) string {
	t.Helper()

	home, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil {
		t.Fatal(err)
	}

	return home
}
