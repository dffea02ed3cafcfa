// Package tutorials_test follows docs/tutorials as their readers do.
package tutorials_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

var update = flag.Bool("update", false, "take the tutorials' pictures anew")

const (
	// patience is for commands that install or build, on a machine that has other things to do.
	patience = 5 * time.Minute
	python   = "/usr/bin/python3" // whose packages are Debian's
)

// run runs a program to its end, which must be good, and returns what it prints.
func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// copyTree copies what the repository has, without what is built.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	for name := range strings.Lines(run(t, from, "git", "ls-files", "--cached", "--others", "--exclude-standard")) {
		name = strings.TrimSpace(name)
		text, err := os.ReadFile(filepath.Join(from, name))
		if os.IsNotExist(err) { // deleted, but not committed yet
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		place := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(place, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// freePort returns a port that was free just now.
func freePort(t *testing.T) string {
	t.Helper()
	_, port, _ := strings.Cut(testservice.FreeAddress(t), ":")
	return port
}

// tutorialPart is a part of a tutorial: a file, an addition to one, a block of commands, a step in the browser, or a
// picture of what the browser then shows.
type tutorialPart struct {
	kind, name, text string
}

const (
	fileKind     = "file"
	additionKind = "addition"
	commandsKind = "commands"
	browserKind  = "browser"
	pictureKind  = "picture"
)

var (
	fence = regexp.MustCompile("^```(\\w+)(?: title=\"([^\"]+)\")?$")
	step  = regexp.MustCompile(`^\d+\. (.+)$`)
	image = regexp.MustCompile(`^!\[.+\]\((.+)\)$`)
)

// parseTutorial returns everything that a tutorial asks its reader to do. Every block of code is one
// of them.
func parseTutorial(text string) (parts []tutorialPart, err error) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		if found := step.FindStringSubmatch(lines[i]); found != nil {
			parts = append(parts, tutorialPart{kind: browserKind, text: found[1]})
			continue
		}
		if found := image.FindStringSubmatch(lines[i]); found != nil {
			parts = append(parts, tutorialPart{kind: pictureKind, name: found[1]})
			continue
		}
		if !strings.HasPrefix(lines[i], "```") {
			continue
		}
		found := fence.FindStringSubmatch(lines[i])
		end := slices.Index(lines[i+1:], "```")
		if found == nil || end < 0 || found[1] != "console" && found[2] == "" {
			return nil, fmt.Errorf("line %d: %q is neither commands nor a file with a title", i+1, lines[i])
		}
		part := tutorialPart{kind: fileKind, name: found[2], text: strings.Join(lines[i+1:i+1+end], "\n") + "\n"}
		if found[1] == "console" {
			part.kind = commandsKind
		} else if name, is := strings.CutSuffix(part.name, " (at the end)"); is {
			part.kind, part.name = additionKind, name
		}
		parts = append(parts, part)
		i += end + 1
	}
	return parts, nil
}

// command is what a reader types, and what they then see; nothing if the tutorial does not say.
type command struct{ typed, shown string }

func parseCommands(text string) (commands []command, err error) {
	for line := range strings.Lines(text) {
		if typed, is := strings.CutPrefix(line, "$ "); is {
			commands = append(commands, command{typed: strings.TrimSpace(typed)})
		} else if len(commands) > 0 {
			commands[len(commands)-1].shown += line
		} else {
			return nil, fmt.Errorf("%q stands before any command", line)
		}
	}
	return commands, nil
}

// shows reports whether an output is what a tutorial shows, where … matches anything.
func shows(shown, output string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(shown)), "…", "(?s:.*)")
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(strings.TrimSpace(output))
}

// dialogue is a program that answers each line with one.
type dialogue struct {
	t       *testing.T
	input   io.WriteCloser
	answers chan string
	places  []string // where logs are
}

// converse starts a program in a separate process group, which ends with the test.
func converse(t *testing.T, dir string, environment []string, name string, args ...string) *dialogue {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	cmd.Dir, cmd.Env, cmd.SysProcAttr = dir, environment, &syscall.SysProcAttr{Setpgid: true}
	cmd.Stderr = os.Stderr
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d := &dialogue{t: t, input: input, answers: make(chan string)}
	go func() {
		defer close(d.answers)
		for scanner := bufio.NewScanner(output); scanner.Scan(); {
			d.answers <- scanner.Text()
		}
	}()
	t.Cleanup(func() {
		_ = input.Close() // it may have ended
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		for range d.answers { // so that unread output does not block it
		}
		_ = cmd.Wait() // it was killed
	})
	return d
}

// logs returns the ends of the logs that the shell's commands have written.
func (d *dialogue) logs() string {
	var all strings.Builder
	for _, place := range d.places {
		files, _ := filepath.Glob(filepath.Join(place, "*.log"))
		nested, _ := filepath.Glob(filepath.Join(place, "*", "*.log"))
		for _, file := range append(files, nested...) {
			text, _ := os.ReadFile(file)
			fmt.Fprintf(&all, "%s: %s\n", filepath.Base(file), text[max(0, len(text)-2000):])
		}
	}
	return all.String()
}

func (d *dialogue) say(line string) {
	d.t.Helper()
	if _, err := io.WriteString(d.input, line+"\n"); err != nil {
		d.t.Fatalf("%s: %v", line, err)
	}
}

// next returns the next line of the answer.
func (d *dialogue) next(to string) string {
	d.t.Helper()
	select {
	case line, ok := <-d.answers:
		if !ok {
			d.t.Fatalf("the program ended at %s", to)
		}
		return line
	case <-time.After(patience):
		d.t.Fatalf("no answer to %s; the last lines of the logs:\n%s", to, d.logs())
	}
	return ""
}

// run has a shell run a command as if it were typed, and returns its output and status.
func (d *dialogue) run(typed string) (output, status string) {
	d.t.Helper()
	const end = "=== status "
	d.say("{ " + typed + "\n} </dev/null") // a program reads nothing of what is typed after it
	d.say(`printf '\n` + end + `%s\n' "$?"`)
	var lines []string
	for {
		line := d.next(typed)
		if found, is := strings.CutPrefix(line, end); is {
			return strings.Join(lines, "\n"), found
		}
		lines = append(lines, line)
	}
}

// Each tutorial is followed to the letter: its files are written, its commands typed into one shell, and its steps taken in
// a browser. Only the ports differ, which others may have.
func TestTutorials(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_WITHOUT_NPM") != "" {
		t.Skip("make clients runs it")
	}
	for _, name := range []string{"bash", "make", "go", "node", "npm", "curl", "jq", "chromium", python} {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%s is not installed", name)
		}
	}
	reader := t.TempDir()
	copyTree(t, "reader", reader)
	run(t, reader, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	clone := filepath.Join(testservice.Place(t), "latchkey")
	copyTree(t, "../..", clone)
	for _, document := range tutorials(t) { //nolint:paralleltest // they share the clone, as one reader's do
		t.Run(strings.TrimSuffix(filepath.Base(document), ".md"), func(t *testing.T) { follow(t, document, clone, reader) })
	}
}

// tutorials are the pages that are followed.
func tutorials(t *testing.T) []string {
	t.Helper()
	documents, err := filepath.Glob("../../docs/tutorials/*.md")
	if err != nil || len(documents) < 8 {
		t.Fatalf("%d tutorials, %v", len(documents), err)
	}
	return append(documents, "../../docs/from-express-session.md", "../../docs/from-refresh-table.md")
}

// Each tutorial ends with something to look at: a step in the browser, a picture, or what a command shows. After that, what
// runs is only stopped.
func TestTutorialsEndWithSomethingToLookAt(t *testing.T) {
	t.Parallel()
	for _, document := range tutorials(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := parseTutorial(string(text))
		if err != nil {
			t.Fatal(err)
		}
		isLook := false
		for _, part := range parts {
			isLook = part.kind == browserKind || part.kind == pictureKind || part.kind == commandsKind && isLook
			if part.kind != commandsKind {
				continue
			}
			commands, err := parseCommands(part.text)
			if err != nil {
				t.Fatal(err)
			}
			for _, command := range commands {
				if !strings.HasPrefix(command.typed, "kill ") {
					isLook = command.shown != ""
				}
			}
		}
		if !isLook {
			t.Errorf("%s ends with nothing to look at", document)
		}
	}
}

// follow does what a tutorial says.
func follow(t *testing.T, document, clone, reader string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := parseTutorial(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(clone, "var")); err != nil {
		t.Fatal(err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal(err)
	}
	public, internal := freePort(t), freePort(t)
	ports := strings.NewReplacer(":8080", ":"+public, ":8081", ":"+internal, ":3000", ":"+freePort(t), ":9000", ":"+freePort(t))
	app := ports.Replace(":3000")[1:]
	own := strings.NewReplacer("listen(3000", "listen("+app, "--port 3000", "--port "+app, "listen(9000", "listen("+ports.Replace(":9000")[1:])
	here := func(text string) string { return own.Replace(ports.Replace(text)) }

	home := testservice.Place(t)
	environment := testservice.Env{
		"PATH": filepath.Dir(python) + ":" + os.Getenv("PATH"), "HOME": home, "PYTHONDONTWRITEBYTECODE": "1",
		"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:" + public, "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:" + internal, "LATCHKEY_ISSUER": "http://localhost:" + public,
		"CHROMIUM": chromium,
	}
	for _, name := range []string{"DATABASE_URL", "OLD_DATABASE_URL"} { // the service takes the first one as well
		if strings.Contains(string(text), "`"+name+"`") {
			environment[name] = testdb.URL(t)
		}
	}
	for _, name := range []string{"GOFLAGS", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOMODCACHE", "GOCACHE", "GOTOOLCHAIN"} {
		environment[name] = run(t, ".", "go", "env", name)
	}
	for _, name := range []string{"registry", "cache"} {
		environment["npm_config_"+name] = run(t, ".", "npm", "config", "get", name)
	}
	shell := converse(t, clone, environment.List(), "bash", "--norc")
	if output, status := shell.run("set -m -o pipefail; exec 2>&1"); status != "0" { // jobs have numbers, as in a terminal
		t.Fatal(output)
	}
	t.Cleanup(func() { _, _ = shell.run("kill $(jobs -p) 2>/dev/null; wait") })
	browser := converse(t, reader, environment.List(), "node", "reader.mjs")

	shell.places, browser.places = []string{clone, home}, []string{clone, home}
	for _, part := range parts {
		part.text = here(part.text)
		switch part.kind {
		case fileKind, additionKind:
			where, _ := shell.run("pwd")
			place := filepath.Join(strings.TrimSpace(where), part.name)
			if part.kind == additionKind {
				before, err := os.ReadFile(place)
				if err != nil {
					t.Fatal(err)
				}
				part.text = string(before) + part.text
			}
			if err := os.WriteFile(place, []byte(part.text), 0o600); err != nil {
				t.Fatal(err)
			}
		case pictureKind:
			picture, err := filepath.Abs(filepath.Join(filepath.Dir(document), part.name))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(picture); err != nil && !*update {
				t.Error(err)
			}
			if *update {
				browser.say("Picture " + picture)
				if answer := browser.next(picture); answer != "done" {
					t.Fatal(answer)
				}
			}
		case commandsKind:
			commands, err := parseCommands(part.text)
			if err != nil {
				t.Fatal(err)
			}
			for _, command := range commands {
				began := time.Now()
				output, status := shell.run(command.typed)
				t.Logf("%6.1f s %s", time.Since(began).Seconds(), command.typed)
				if status != "0" {
					t.Fatalf("%s: status %s\n%s\n%s", command.typed, status, output, shell.logs())
				}
				if command.shown != "" && !shows(command.shown, output) {
					t.Fatalf("%s shows\n%s\ninstead of\n%s\n%s", command.typed, output, command.shown, shell.logs())
				}
			}
		case browserKind:
			browser.say(part.text)
			if answer := browser.next(part.text); answer != "done" {
				t.Fatalf("%s: %s\n%s", part.text, answer, shell.logs())
			}
		}
	}
	if output, _ := shell.run("wait; jobs"); strings.TrimSpace(output) != "" && strings.Contains(output, "Running") {
		t.Errorf("left to run:\n%s", output)
	}
}

// A tutorial that is wrong fails: what the reader sees differs from what it shows.
func TestTutorialsAreReadToTheLetter(t *testing.T) {
	t.Parallel()
	for output, want := range map[string]bool{`{"sessions":[]}`: true, `{"sessions":[{}]}`: false, `x{"sessions":[]}`: false, "": false} {
		if shows("{\"sessions\":[]…}\n", output) != want {
			t.Errorf("%q: %t", output, !want)
		}
	}
	for _, text := range []string{"```sh\nls\n```\n", "```js\nlet a;\n```\n", "```console\n$ ls\n"} {
		if parts, err := parseTutorial(text); err == nil {
			t.Errorf("%q has %v", text, parts)
		}
	}
	parts, err := parseTutorial("```py title=\"a/b.py (at the end)\"\nx = 1\n```\n\n![What it looks like](a.png)\n")
	if want := []tutorialPart{{additionKind, "a/b.py", "x = 1\n"}, {pictureKind, "a.png", ""}}; err != nil || !slices.Equal(parts, want) {
		t.Errorf("%v, %v", parts, err)
	}
	if commands, err := parseCommands("hello\n$ ls\n"); err == nil {
		t.Errorf("%v", commands)
	}
}
