package main

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// The README's commands do what it says.
func TestREADME(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"sh", "curl", "jq"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("the README's commands need %s, which is not installed", program)
		}
	}
	shop, err := newShop(t.Context(), testdb.Pool(t))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(shop.routes())
	defer server.Close()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var script, want strings.Builder
	parts := strings.Split(string(text), "```console\n")
	for _, part := range parts[1:] {
		block, _, _ := strings.Cut(part, "```")
		for line := range strings.Lines(block) {
			if command, is := strings.CutPrefix(line, "$ "); is {
				script.WriteString(command)
			} else {
				want.WriteString(line)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", "-eu", "-c", strings.ReplaceAll(script.String(), "http://127.0.0.1:8090", server.URL))
	command.WaitDelay = time.Second
	got, err := command.Output()
	if diff := cmp.Diff(want.String(), string(got)); err != nil || diff != "" || want.Len() == 0 {
		t.Errorf("%v\n%s", err, diff)
	}
}
