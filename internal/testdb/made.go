package testdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgserver"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// made is the data of a server that was stopped, with the schema in it. All servers of the test binary begin with a copy,
// because making one takes ten times as long.
var made struct {
	mu   sync.Mutex
	data string
}

// madeData returns the data to copy: another running test binary's, if there is one, or else its own.
func madeData(ctx context.Context, programs pgserver.Programs) (string, error) {
	made.mu.Lock()
	defer made.mu.Unlock()

	if made.data != "" {
		return made.data, nil
	}
	dir, err := filesDir(ctx)
	if err != nil {
		return "", err
	}
	link := filepath.Join(filepath.Dir(dir), fmt.Sprintf("%s%d-%s-%s", madePrefix, os.Geteuid(), programs.Version(), migrations.Digest()))
	data := filepath.Join(dir, "made")
	if !copyMade(ctx, link, data) {
		if err := makeData(ctx, programs, dir, data); err != nil {
			return "", err
		}
		_ = os.Symlink(data, link) // an error means that others have a link there
	}
	made.data = data

	return data, nil
}

// copyMade copies what the link names, and reports whether all of it was there. The data is removed only after its link.
func copyMade(ctx context.Context, link, data string) bool {
	info, err := os.Lstat(link)
	if err != nil {
		return false
	}
	// Any user may make a link in a folder for temporary files.
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return false
	}
	target, err := os.Readlink(link)
	if err != nil {
		return false
	}
	if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
		_ = os.Remove(link) // the machine stopped before its janitor ran
		return false
	}
	err = copyFolder(ctx, target, data)
	if still, linkErr := os.Readlink(link); err == nil && linkErr == nil && still == target {
		return true
	}
	_ = os.RemoveAll(data) // nothing uses it

	return false
}

// makeData makes a server's data with the schema.
func makeData(ctx context.Context, programs pgserver.Programs, dir, data string) (err error) {
	if dir, err = newFolder(dir, "maker-"); err != nil {
		return err
	}
	settings := baseSettings()
	settings["wal_recycle"] = "off"
	srv, err := pgserver.Start(ctx, pgserver.Config{Dir: dir, Loopback: true, Programs: programs, Settings: settings})
	if err != nil {
		return errors.Join(err, pgserver.Remove(dir))
	}
	err = errors.Join(equip(ctx, srv.URL("postgres")), leaveWAL(ctx, srv.URL("postgres")), srv.Stop(ctx))
	from := filepath.Join(dir, "postgres", "data")
	if err == nil {
		err = removeMaps(from)
	}
	if err == nil && os.Rename(from, data) != nil { // as root, it may be on another disk
		err = copyFolder(ctx, from, data)
	}

	return errors.Join(err, pgserver.Remove(dir))
}

// leaveWAL makes the server start a new file of the WAL, which stays almost empty, and remove the full ones, which would
// be half of each copy.
func leaveWAL(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	for _, statement := range []string{`SELECT pg_switch_wal()`, `CHECKPOINT`} {
		if _, execErr := conn.Exec(ctx, statement); execErr != nil {
			err = errors.Join(err, execErr)
		}
	}

	return errors.Join(err, conn.Close(ctx))
}

// removeMaps removes the maps of free space and of visibility, a sixth of the files that each copy of a database and of
// a server has. They are hints: PostgreSQL makes those that it misses.
func removeMaps(data string) error {
	var all []string
	for _, kind := range []string{"fsm", "vm"} {
		maps, err := filepath.Glob(filepath.Join(data, "base", "*", "*_"+kind))
		if err != nil {
			return err
		}
		all = append(all, maps...)
	}
	for _, name := range all {
		if err := os.Remove(name); err != nil {
			return err
		}
	}

	return nil
}
