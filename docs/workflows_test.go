package docs_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
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

// workflow is the part of a workflow that decides what its jobs may do, and what they do.
type workflow struct {
	Permissions *map[string]string `yaml:"permissions"`
	Jobs        map[string]job     `yaml:"jobs"`
}

type job struct {
	Needs       string             `yaml:"needs"`
	Permissions *map[string]string `yaml:"permissions"`
	Steps       []step             `yaml:"steps"`
}

type step struct {
	ID   string            `yaml:"id"`
	Uses string            `yaml:"uses"`
	Run  string            `yaml:"run"`
	With map[string]string `yaml:"with"`
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	paths, err := filepath.Glob("../.github/workflows/*")
	if err != nil || len(paths) < 2 {
		t.Fatalf("workflows: %q, %v", paths, err)
	}
	all := map[string]workflow{}
	for _, path := range paths {
		var w workflow
		if err := yaml.Unmarshal([]byte(read(t, path)), &w); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all[filepath.Base(path)] = w
	}
	return all
}

// Only the job that publishes a release may write anything. It runs nothing that it compiles from the repository, so that neither a
// test nor a module that takes part in the build can publish or sign. Nothing is left for a later step to find the token in.
func TestOnlyPublishingMayWrite(t *testing.T) {
	t.Parallel()
	publishing := map[string]string{"contents": "write", "id-token": "write", "attestations": "write", "packages": "write"}
	for name, w := range workflows(t) {
		if w.Permissions == nil {
			t.Errorf("%s does not limit the permissions of its jobs", name)
			continue
		}
		for id, j := range w.Jobs {
			permissions := *w.Permissions
			if j.Permissions != nil {
				permissions = *j.Permissions
			}
			if name == "release.yml" && id == "publish" {
				if !maps.Equal(permissions, publishing) {
					t.Errorf("%s: %s has %v, want %v", name, id, permissions, publishing)
				}
				for _, s := range j.Steps {
					if strings.HasPrefix(s.Uses, "actions/checkout@") || regexp.MustCompile(`\bmake\b|\bgo -C|\bgo run [.-]`).MatchString(s.Run) {
						t.Errorf("%s: %s uses the repository: %s%s", name, id, s.Uses, s.Run)
					}
				}
			} else if !maps.Equal(permissions, map[string]string{"contents": "read"}) {
				t.Errorf("%s: %s has %v, want only contents: read", name, id, permissions)
			}
			for _, s := range j.Steps {
				if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != "false" {
					t.Errorf("%s: %s leaves its token in the clone", name, id)
				}
			}
		}
	}
}

// An action is the one that was chosen, whatever its tags refer to later. The comment is for people and for programs that upgrade it.
func TestActionsArePinned(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	found := 0
	for name := range workflows(t) {
		for _, uses := range regexp.MustCompile(`(?m)\buses: (.+)$`).FindAllStringSubmatch(read(t, "../.github/workflows/"+name), -1) {
			found++
			if !pinned.MatchString(uses[1]) {
				t.Errorf("%s: %s has no digest, or does not name its version", name, uses[1])
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d uses of actions were found", found)
	}
}

// Every file of a release and the image are attested before anyone can download them.
func TestReleaseIsAttested(t *testing.T) {
	t.Parallel()
	release := workflows(t)["release.yml"]
	publish := release.Jobs["publish"]
	if publish.Needs != "build" {
		t.Errorf("the files are from %q, want build", publish.Needs)
	}
	index := func(what string, is func(step) bool) int {
		i := slices.IndexFunc(publish.Steps, is)
		if i < 0 {
			t.Fatalf("no step %s", what)
		}
		return i
	}
	attests := func(s step) bool { return strings.HasPrefix(s.Uses, "actions/attest-build-provenance@") }

	files := index("attests the files", func(s step) bool { return attests(s) && s.With["subject-path"] != "" })
	draft := index("makes the draft", func(s step) bool { return strings.Contains(s.Run, "gh release create") })
	if subjects := publish.Steps[files].With["subject-path"]; !strings.HasSuffix(publish.Steps[draft].Run, " "+subjects) {
		t.Errorf("%s is attested, and the draft made by: %s", subjects, publish.Steps[draft].Run)
	}
	image := index("attests the image", func(s step) bool { return attests(s) && s.With["subject-digest"] != "" })
	pushed := index("pushes the image", func(s step) bool { return strings.Contains(s.Run, "push --index") })
	if got, want := publish.Steps[image].With["subject-digest"], "${{ steps."+publish.Steps[pushed].ID+".outputs.digest }}"; got != want {
		t.Errorf("the digest that is attested is %s, want %s", got, want)
	}
	if publish.Steps[image].With["push-to-registry"] != "true" {
		t.Error("the registry does not have the image's attestation")
	}
	if files > draft || image > draft {
		t.Errorf("the steps that attest are %d and %d, and the draft is made by step %d", files, image, draft)
	}
}
