//go:build unix

package pgserver

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

const (
	downloadVersion = embeddedpostgres.V18
	downloadMajor   = 18
	// abandoned is the age from which an unfinished download cannot still be in progress.
	abandoned = time.Hour
)

// download fetches PostgreSQL's programs as the zonky.io project packs them for each platform, from Maven Central.
type download struct {
	cache      string
	repository string // "": Maven Central
	logger     *slog.Logger
}

// run returns the folder with the downloaded programs.
func (d download) run(ctx context.Context) (string, error) {
	if err := makePublic(d.cache); err != nil {
		return "", err
	}
	d.removeAbandoned()
	dir, err := os.MkdirTemp(d.cache, "download-")
	if err != nil {
		return "", err
	}
	if d.logger != nil {
		d.logger.InfoContext(ctx, "no PostgreSQL on this machine: downloading it once", "version", string(downloadVersion), "to", d.cache)
	}

	// The library takes no context, so it is left running if ctx ends first: the process is about to end.
	fetched := make(chan error, 1)
	go func() { fetched <- d.fetch(ctx, dir) }()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case err = <-fetched:
	}

	final := filepath.Join(d.cache, "postgresql-"+string(downloadVersion))
	if err == nil {
		err = os.Rename(filepath.Join(dir, "programs"), final)
		if errors.Is(err, fs.ErrExist) {
			err = nil // another process was faster, with the same programs
		}
	}

	return filepath.Join(final, "bin"), errors.Join(err, os.RemoveAll(dir))
}

// fetch leaves the programs in dir/programs. The library's only way to get them is Start, which does more than
// necessary, and would run a server as root. It proceeds in this order: to empty the runtime folder, to download, check
// and extract, to make the runtime folder, and to empty the data folder. That last step is made to fail (a path that
// ends in a dot cannot be removed), and the runtime folder shows whether all the other steps were done.
func (d download) fetch(ctx context.Context, dir string) error {
	port, err := freePort(ctx)
	if err != nil {
		return err
	}
	programs, runtime := filepath.Join(dir, "programs"), filepath.Join(dir, "runtime")
	config := embeddedpostgres.DefaultConfig().
		Version(downloadVersion).
		Port(uint32(port)). //nolint:gosec // a port fits
		CachePath(filepath.Join(dir, "archive")).
		RuntimePath(runtime).
		BinariesPath(programs).
		DataPath(runtime + "/.").
		Logger(io.Discard)
	if d.repository != "" {
		config = config.BinaryRepositoryURL(d.repository)
	}

	logs := libraryLogs()
	server := embeddedpostgres.NewDatabase(config)
	problem := server.Start()
	for name := range libraryLogs() {
		if !logs[name] {
			_ = os.Remove(name) // the library leaves its log, which is empty, in the folder for temporary files
		}
	}
	if problem == nil {
		return errors.Join(errors.New("a server was started that was not wanted"), server.Stop())
	}
	if _, err := os.Stat(runtime); err != nil {
		return problem
	}

	return makeReadable(programs)
}

func libraryLogs() map[string]bool {
	names, err := filepath.Glob(filepath.Join(os.TempDir(), "embedded_postgres_log*"))
	if err != nil {
		return nil
	}
	logs := make(map[string]bool, len(names))
	for _, name := range names {
		logs[name] = true
	}

	return logs
}

// makeReadable lets every user run the programs, whatever the umask.
func makeReadable(programs string) error {
	root, err := os.OpenRoot(programs)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing is written through it

	return fs.WalkDir(root.FS(), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if mode&0o100 != 0 {
			mode |= 0o111
		}

		return root.Chmod(path, mode)
	})
}

func (d download) removeAbandoned() {
	entries, err := os.ReadDir(d.cache)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil && strings.HasPrefix(entry.Name(), "download-") && time.Since(info.ModTime()) > abandoned {
			_ = os.RemoveAll(filepath.Join(d.cache, entry.Name())) // it only takes up space
		}
	}
}
