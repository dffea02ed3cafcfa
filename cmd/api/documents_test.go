package main_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	codeBlocks   = regexp.MustCompile("(?ms)^ *```[a-z]*\n(.*?)^ *```")
	codeSpans    = regexp.MustCompile("`(api(?: [^`]+)?)`")
	commandLines = regexp.MustCompile(`(?m)(?:^|[$|;(]|do|xargs(?: -\S+)*|LATCHKEY_DATABASE_URL\S*) *(?:bin/|/usr/local/bin/)?(api [a-z-][^\n|;)#]*)`)
	flagNames    = regexp.MustCompile(`--[a-z][a-z-]*`)
)

// Each command that a document shows exists, and has the flags that it is shown
// with: what an operator pastes on a bad day must work.
func TestDocumentedCommandsExist(t *testing.T) {
	t.Parallel()
	help := map[string]string{}
	files, err := filepath.Glob(filepath.Join("testdata", "help*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSuffix(filepath.Base(file), ".txt"), "help"), "-")
		help[strings.ReplaceAll(name, "-", " ")] = readFile(t, file)
	}
	documents, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil || len(documents) < 5 {
		t.Fatal(documents, err)
	}
	seen := map[string]bool{}
	for _, document := range append(documents, filepath.Join("..", "..", "README.md")) {
		content, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		rest := codeBlocks.ReplaceAllStringFunc(string(content), func(block string) string {
			for _, m := range commandLines.FindAllStringSubmatch(block, -1) {
				lines = append(lines, m[1])
			}
			return ""
		})
		for _, m := range codeSpans.FindAllStringSubmatch(rest, -1) {
			lines = append(lines, m[1])
		}
		for _, line := range lines {
			for _, command := range alternatives(line) {
				seen[checkCommand(t, document, command, help)] = true
			}
		}
	}
	for _, command := range []string{"sessions revoke", "keys revoke", "keys generate", "cleanup", "migrate"} {
		if !seen[command] {
			t.Errorf("no document shows api %s: are they read?", command)
		}
	}
}

// alternatives are the commands that "api migrate up|down" means.
func alternatives(line string) []string {
	words := strings.Fields(line)
	for i, word := range words {
		if options := strings.Split(word, "|"); len(options) > 1 && i > 0 && !strings.HasPrefix(word, "-") {
			var lines []string
			for _, option := range options {
				lines = append(lines, strings.Join(slices.Concat(words[:i], []string{option}, words[i+1:]), " "))
			}
			return lines
		}
	}
	return []string{line}
}

// checkCommand returns the command of a line.
func checkCommand(t *testing.T, document, line string, help map[string]string) string {
	t.Helper()
	command := ""
	for _, word := range strings.Fields(line)[1:] {
		next := strings.TrimSpace(command + " " + word)
		if _, ok := help[next]; !ok {
			break
		}
		command = next
	}
	words := strings.Fields(line)
	if command == "" && len(words) > 1 && !strings.HasPrefix(words[1], "-") {
		t.Errorf("%s: there is no %q", document, line)
	}
	text := help[command]
	if command == "" {
		text += help["serve"]
	}
	for _, flag := range flagNames.FindAllString(line, -1) {
		if !strings.Contains(text, flag) {
			t.Errorf("%s: api %s has no %s: %q", document, command, flag, line)
		}
	}
	return command
}
