package main_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	t.Parallel()

	if out := mustAPI(t, t.TempDir(), nil, "version"); out != builtVersion+"\n" {
		t.Errorf("version: %q", out)
	}
	var v struct {
		Version string `json:"version"`
		Go      string `json:"go"`
	}
	if err := json.Unmarshal([]byte(mustAPI(t, t.TempDir(), nil, "version", "--json")), &v); err != nil || v.Version != builtVersion || !strings.HasPrefix(v.Go, "go1.") {
		t.Errorf("version --json: %+v, %v", v, err)
	}
}

const module = "github.com/latchkey-sessions/latchkey"

// linkedPackages lists what is linked into the command.
func linkedPackages(t *testing.T) map[string]bool {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		linked[strings.TrimSpace(line)] = true
	}
	if !linked[module+"/httpapi"] {
		t.Fatal("this is not the list of linked packages")
	}
	return linked
}

// Signatures are made and checked by a widely reviewed library, not by our own code.
func TestSignaturesAreALibrarys(t *testing.T) {
	t.Parallel()
	if !linkedPackages(t)["github.com/golang-jwt/jwt/v5"] {
		t.Error("golang-jwt is not linked into the command")
	}
}

// An image that has nothing but the program can check the certificates of webhooks, collectors and PostgreSQL.
func TestRootCertificatesAreLinked(t *testing.T) {
	t.Parallel()
	if !linkedPackages(t)["golang.org/x/crypto/x509roots/fallback"] {
		t.Error("no root certificates are linked into the command")
	}
}

func TestNoTestLibraryIsLinked(t *testing.T) {
	t.Parallel()
	for name := range linkedPackages(t) { // testing itself comes with the library that fetches PostgreSQL
		for _, library := range []string{
			"github.com/testcontainers/", "github.com/santhosh-tekuri/", "github.com/google/go-cmp/", "github.com/anishathalye/porcupine",
			"pgregory.net/rapid", "github.com/stretchr/testify/", module + "/internal/testdb", module + "/internal/testkeys", module + "/internal/testservice",
		} {
			if name == library || strings.HasSuffix(library, "/") && strings.HasPrefix(name, library) {
				t.Errorf("%s is linked into the command", name)
			}
		}
	}
}
