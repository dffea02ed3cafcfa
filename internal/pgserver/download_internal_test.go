//go:build unix

package pgserver

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// repository serves this machine's own programs the way Maven Central serves packed ones, and counts the jars.
func repository(t *testing.T, programs Programs) (url string, jars *atomic.Int32) {
	t.Helper()

	jar := pack(t, programs)
	path := regexp.MustCompile(`^/io/zonky/test/postgres/embedded-postgres-binaries-[a-z]+-[a-z0-9-]+/` + string(downloadVersion) + `/[a-z0-9.-]+\.jar(\.sha256)?$`)
	jars = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		match := path.FindStringSubmatch(r.URL.Path)
		switch {
		case match == nil:
			http.NotFound(w, r)
		case match[1] != "":
			sum := sha256.Sum256(jar)
			_, _ = io.WriteString(w, hex.EncodeToString(sum[:]))
		default:
			jars.Add(1)
			_, _ = w.Write(jar)
		}
	}))
	t.Cleanup(server.Close)

	return server.URL, jars
}

// pack returns a jar with a .txz of what the programs need.
func pack(t *testing.T, programs Programs) []byte {
	t.Helper()

	root := filepath.Dir(programs.Bin)
	parts := []string{"--exclude=bitcode", "--exclude=pgxs", "--exclude=llvmjit*", "bin/postgres", "bin/initdb", "bin/pg_ctl", "lib"}
	if _, err := os.Stat(filepath.Join(root, "share")); err == nil {
		parts = append(parts, "share") // Debian's programs know where it is
	}
	var archive bytes.Buffer
	tar := exec.CommandContext(t.Context(), "tar", append([]string{"-C", root, "-cJf", "-"}, parts...)...)
	tar.Env = append(os.Environ(), "XZ_OPT=-0")
	tar.Stdout = &archive
	if err := tar.Run(); err != nil {
		t.Fatalf("tar: %v", err)
	}

	var jar bytes.Buffer
	writer := zip.NewWriter(&jar)
	file, err := writer.CreateHeader(&zip.FileHeader{Name: "postgres.txz", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(archive.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}

	return jar.Bytes()
}

func TestDownload(t *testing.T) {
	t.Parallel()
	ctx, a := t.Context(), testAccount(t)
	here, err := Find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	url, jars := repository(t, here)
	cache := filepath.Join(openDir(t), "cache")
	logs := libraryLogs()

	found, err := obtain(ctx, a, search{patterns: installed(cache)[5:]}, download{cache: cache, repository: url}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(cache, "postgresql-"+string(downloadVersion), "bin")
	if len(found) != 1 || found[0].Bin != want || found[0].Version() != here.Version() {
		t.Errorf("got %v, want %s of version %s", found, want, here.Version())
	}

	// They run, as the user that runs PostgreSQL here.
	server, err := Start(ctx, Config{Dir: openDir(t), Programs: found[0], Settings: map[string]string{"fsync": "off"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.ping(ctx); err != nil {
		t.Error(err)
	}
	if err := server.Stop(ctx); err != nil {
		t.Error(err)
	}

	// The next start finds them, and nothing else was left.
	again, err := obtain(ctx, a, search{patterns: installed(cache)[5:]}, download{cache: cache, repository: url}, 0)
	if err != nil || len(again) != 1 || again[0] != found[0] || jars.Load() != 1 {
		t.Errorf("got %v and %v after %d downloads, want %v after one", again, err, jars.Load(), found)
	}
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 1 {
		t.Errorf("the cache holds %v (%v)", entries, err)
	}
	for name := range libraryLogs() {
		if !logs[name] {
			t.Errorf("%s was left", name)
		}
	}
}

func TestDownloadIsNotTrustedBlindly(t *testing.T) {
	t.Parallel()

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "neither a jar nor its checksum")
	}))
	t.Cleanup(server.Close)
	cache := openDir(t)
	_, err := download{cache: cache, repository: server.URL}.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "checksums do not match") {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(cache); err != nil || len(entries) != 0 {
		t.Errorf("the cache holds %v (%v)", entries, err)
	}
}

func TestDownloadIsInterrupted(t *testing.T) {
	t.Parallel()

	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		cancel()
		<-over // it never comes
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })

	if _, err := (download{cache: openDir(t), repository: server.URL}).run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}
