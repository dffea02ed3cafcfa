package docs_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// unchecked are the targets of the Makefile that check nothing, and those that others include.
var unchecked = []string{
	"help", "run", "demo", "npm", "build", "fmt", "clean", "settings", "manifests", "generate", // they make something
	"docs",                      // make docs-check builds them
	"verify",                    // its parts are run
	"repeat",                    // make race, over and over
	"count",                     // make test has it
	"bench", "micro", "mutants", // hours, on a machine that does nothing else
}

// A workflow runs every check of the Makefile.
func TestWorkflowsRunEveryCheck(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	workflow, err := os.ReadFile("../.github/workflows/ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	ran := map[string]bool{}
	for _, found := range regexp.MustCompile(`run: (?:sudo env "PATH=\$PATH" )?make ([a-z-]+)`).FindAllStringSubmatch(string(workflow), -1) {
		ran[found[1]] = true
	}
	targets := regexp.MustCompile(`(?m)^([a-z-]+):.*## `).FindAllStringSubmatch(string(makefile), -1)
	if len(targets) < 30 {
		t.Fatalf("only %d targets were found", len(targets))
	}
	for _, target := range targets {
		name := target[1]
		switch {
		case slices.Contains(unchecked, name) && ran[name]:
			t.Errorf("make %s is run: take it out of the list", name)
		case !slices.Contains(unchecked, name) && !ran[name]:
			t.Errorf("no workflow runs make %s", name)
		}
	}
	for _, script := range []string{"test/upgrade.sh", "test/smoke.sh", "cd bench && go test"} {
		if !strings.Contains(string(workflow), script) {
			t.Errorf("no workflow runs %s", script)
		}
	}
}

// A release and an image from source are compiled by the same Go: a patch release that was chosen deliberately, not
// whatever a tag or the least version in go.mod leads to. So it is in an image that cannot be replaced.
func TestCompilerIsPinned(t *testing.T) {
	t.Parallel()
	image := regexp.MustCompile(`(?m)^ARG GO_IMAGE=(golang:(\d+\.\d+\.\d+)-bookworm@sha256:[0-9a-f]{64})$`).FindStringSubmatch(read(t, "../Dockerfile"))
	if image == nil {
		t.Fatal("the Dockerfile does not name its compiler's image by version and digest")
	}
	used := regexp.MustCompile(`(?m)^ +(container|go-version(?:-file)?|image): (.+)$`)
	found := 0
	for _, name := range []string{"ci.yml", "release.yml"} {
		for _, line := range used.FindAllStringSubmatch(read(t, "../.github/workflows/"+name), -1) {
			found++
			if want := map[string]string{"container": image[1], "go-version": image[2]}[line[1]]; line[2] != want {
				t.Errorf("%s: %s, where the Dockerfile has %s", name, strings.TrimSpace(line[0]), image[1])
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d compilers were found", found)
	}
}
