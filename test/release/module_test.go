package release_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// latchkey is the module by its path, in a version that has not been published.
var latchkey = module.Version{Path: "github.com/latchkey-sessions/latchkey", Version: "v0.1.0-test"}

// The newest commit can be installed and imported by its path and version, which neither exclude nor replace in go.mod would allow.
func TestModule(t *testing.T) {
	t.Parallel()
	environ := moduleEnvironment(t)

	t.Run("go install", func(t *testing.T) {
		t.Parallel()
		bin := t.TempDir()
		run(t, t.TempDir(), append(environ, "GOBIN="+bin), "go", "install", latchkey.Path+"/cmd/api@"+latchkey.Version)
		if version := run(t, bin, nil, filepath.Join(bin, "api"), "version"); version != latchkey.Version+"\n" {
			t.Errorf("api version prints %q, want %s", version, latchkey.Version)
		}
	})

	t.Run("go get", func(t *testing.T) {
		t.Parallel()
		program, err := os.ReadFile("testdata/importer/main.go")
		if err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "main.go"), program, 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, folder, environ, "go", "mod", "init", "example.com/importer")
		run(t, folder, environ, "go", "get", latchkey.Path+"/tokens@"+latchkey.Version)
		if said := run(t, folder, environ, "go", "run", "."); said != "EdDSA\n" {
			t.Errorf("the program that imports tokens prints %q", said)
		}
	})
}

// moduleEnvironment is the environment of a machine that knows the newest commit as a published version, and has no module yet.
func moduleEnvironment(t *testing.T) []string {
	t.Helper()
	root := filepath.Dir(filepath.Dir(workingDirectory(t)))
	// The other modules of the test come from the versions that go.sum lists: no network, and no checksum database.
	run(t, root, nil, "go", "mod", "download")
	cache := strings.TrimSpace(run(t, root, nil, "go", "env", "GOMODCACHE"))
	return []string{
		"GOPROXY=file://" + publish(t, root) + ",file://" + filepath.Join(cache, "cache", "download"),
		"GOMODCACHE=" + t.TempDir(), "GOSUMDB=off", "GOWORK=off",
		// Read-only folders could not be removed after the test. It shares the compiler's cache with make release-snapshot.
		"GOFLAGS=-modcacherw -trimpath", "CGO_ENABLED=0",
	}
}

// publish makes a module proxy in a folder, with the newest commit as its only version.
func publish(t *testing.T, root string) string {
	t.Helper()
	proxy := t.TempDir()
	versions := filepath.Join(proxy, latchkey.Path, "@v")
	if err := os.MkdirAll(versions, 0o700); err != nil {
		t.Fatal(err)
	}
	archive, err := os.Create(filepath.Join(versions, latchkey.Version+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	if err := zip.CreateFromDir(archive, latchkey, checkOut(t, root)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"list":                     latchkey.Version + "\n",
		latchkey.Version + ".info": fmt.Sprintf(`{"Version":%q,"Time":"2026-01-01T00:00:00Z"}`, latchkey.Version),
		latchkey.Version + ".mod":  run(t, root, nil, "git", "show", "HEAD:go.mod"),
	} {
		if err := os.WriteFile(filepath.Join(versions, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return proxy
}

// checkOut returns a folder with the files of the newest commit, and nothing that was not committed.
func checkOut(t *testing.T, root string) string {
	t.Helper()
	folder := t.TempDir()
	archive := filepath.Join(t.TempDir(), "commit.tar")
	run(t, root, nil, "git", "archive", "--output="+archive, "HEAD")
	run(t, folder, nil, "tar", "-xf", archive)
	return folder
}

func workingDirectory(t *testing.T) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return folder
}

// run returns what the program writes to standard output, and fails the test if it fails.
func run(t *testing.T, folder string, environ []string, name string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = folder
	command.Env = append(os.Environ(), environ...)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, output, stderr.String())
	}
	return string(output)
}
