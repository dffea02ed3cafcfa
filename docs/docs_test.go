// Package docs_test keeps the documents true.
package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// packageTests lists the tests of the repository as package.Test, the package by
// its name without _test, and its fuzz tests apart.
func packageTests(t *testing.T) (tests, fuzzTests map[string]bool) {
	t.Helper()
	tests, fuzzTests = map[string]bool{}, map[string]bool{}
	if err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "var" || strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 2):
			return fs.SkipDir
		case !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok || function.Recv != nil {
				continue
			}
			name := strings.TrimSuffix(file.Name.Name, "_test") + "." + function.Name.Name
			switch {
			case strings.HasPrefix(function.Name.Name, "Test"):
				tests[name] = true
			case strings.HasPrefix(function.Name.Name, "Fuzz"):
				fuzzTests[name] = true
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return tests, fuzzTests
}

var (
	testNames    = regexp.MustCompile("`([a-z]+\\.(?:Test|Fuzz)[A-Za-z0-9]+)`")
	numberedLine = regexp.MustCompile(`^\| \d+ \|`)
	fileNames    = regexp.MustCompile("`((?:[a-z]+/)+[a-z_0-9]+\\.(?:go|yaml|sql|md))`")
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// glob returns the files of a pattern, which there are.
func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) < 5 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	return files
}

// An auditor follows the names: each test that a document names exists, each
// file does, and each line of security.md has both.
func TestNamedTestsExist(t *testing.T) {
	t.Parallel()
	tests, fuzzTests := packageTests(t)
	documents := glob(t, "*.md")
	for _, document := range documents {
		for _, name := range testNames.FindAllStringSubmatch(read(t, document), -1) {
			if !tests[name[1]] && !fuzzTests[name[1]] {
				t.Errorf("%s names the test %s, which there is not", document, name[1])
			}
		}
	}
	security := read(t, "security.md")
	for _, name := range fileNames.FindAllStringSubmatch(security, -1) {
		if _, err := os.Stat(filepath.Join("..", name[1])); err != nil {
			t.Error(err)
		}
	}
	numbered, inTable := 0, false
	for line := range strings.SplitSeq(security, "\n") {
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
			continue
		case strings.HasSuffix(line, "| shown by |"):
			inTable = true
			continue
		case !inTable || strings.HasPrefix(line, "| ---"):
			continue
		}
		if numberedLine.MatchString(line) {
			numbered++
		}
		cells := strings.Split(line, " | ")
		shownBy := cells[len(cells)-1]
		if !testNames.MatchString(shownBy) && !strings.Contains(shownBy, "fuzz tests below") {
			t.Errorf("no test is named in %.100s…", line)
		}
	}
	if numbered != 24 {
		t.Errorf("%d numbered lines, there are 24", numbered)
	}
	for _, name := range slices.Sorted(maps.Keys(fuzzTests)) {
		if !strings.Contains(security, "`"+name+"`") {
			t.Errorf("security.md does not name %s", name)
		}
	}
}

// Security 24 (RFC 9700 §4.3): where tokens belong, and what each place in a
// browser risks, is said where an app's developers look.
func TestDocumentsSayWhereTokensBelong(t *testing.T) {
	t.Parallel()
	for path, words := range map[string][]string{
		"clients.md":   {"\n## Where tokens belong\n", "localStorage", "HttpOnly", "Keychain"},
		"../README.md": {"Where tokens belong", "docs/clients.md#where-tokens-belong"},
	} {
		text := read(t, path)
		for _, word := range words {
			if !strings.Contains(text, word) {
				t.Errorf("%s does not say %q", path, word)
			}
		}
	}
}

// A reader with two minutes reads the README, and no more than fits into them.
func TestREADMEIsShort(t *testing.T) {
	t.Parallel()
	const most = 1200
	if words := len(strings.Fields(read(t, "../README.md"))); words > most {
		t.Errorf("%d words; it may have %d: the rest belongs into docs", words, most)
	}
}

var (
	links    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.+)$`)
	blocks   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	marks    = regexp.MustCompile("[^a-z0-9 _-]")
)

// anchors are the headings of a document as GitHub names them.
func anchors(text string) map[string]bool {
	names := map[string]bool{}
	for _, heading := range headings.FindAllStringSubmatch(blocks.ReplaceAllString(text, ""), -1) {
		names[strings.ReplaceAll(marks.ReplaceAllString(strings.ToLower(heading[1]), ""), " ", "-")] = true
	}
	return names
}

// On a bad day, no one should have to search for the page that a link meant.
func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	documents := slices.Concat(glob(t, "*.md"), glob(t, "tutorials/*.md"))
	followed, known := 0, map[string]map[string]bool{}
	for _, document := range append(documents, "../README.md") {
		for _, link := range links.FindAllStringSubmatch(blocks.ReplaceAllString(read(t, document), ""), -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			path := document
			if target != "" {
				path = filepath.Join(filepath.Dir(document), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: %v", document, err)
				continue
			}
			followed++
			if anchor == "" || !strings.HasSuffix(path, ".md") {
				continue
			}
			if known[path] == nil {
				known[path] = anchors(read(t, path))
			}
			if !known[path][anchor] {
				t.Errorf("%s links to %s, which has no such heading", document, link[1])
			}
		}
	}
	if followed < 50 {
		t.Errorf("%d links were followed: are there so few?", followed)
	}
}

// Each page has a place on the site, so that its reader finds the next one.
func TestSiteHasEachPage(t *testing.T) {
	t.Parallel()
	pages := read(t, "../site/pages.mjs")
	for _, document := range glob(t, "*.md") {
		if !strings.Contains(pages, `"docs/`+document+`"`) {
			t.Errorf("site/pages.mjs has no place for docs/%s", document)
		}
	}
	if !strings.Contains(pages, `folder: "docs/tutorials"`) {
		t.Error("site/pages.mjs has no place for the tutorials")
	}
}
