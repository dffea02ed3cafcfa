package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	metricNames = regexp.MustCompile(`\blatchkey_[a-z_]*[a-z]\b`)
	metricRows  = regexp.MustCompile("(?m)^\\| `(latchkey_[a-z_]+)")
	alertNames  = regexp.MustCompile(`\bLatchkey[A-Z][A-Za-z]+\b`)
	// saidInLog is what a runbook says about the log: the words of a line, or what a filter
	// compares.
	saidInLog = regexp.MustCompile("`([a-z][a-z' ]+ [a-z' ]+)`|(?:msg == |startswith\\(|contains\\()\"([^\"]+)\"")
)

// Whatever a document names exists, even at three in the morning: each metric, each alert, and
// each line of the log that a runbook mentions.
func TestNamedMetricsAlertsAndLogLinesExist(t *testing.T) {
	t.Parallel()
	var metrics []string // those of this table are held against a service that runs
	for _, m := range metricRows.FindAllStringSubmatch(read(t, "operations.md"), -1) {
		metrics = append(metrics, m[1])
	}
	alerts := read(t, "../deploy/observability/alerts.yml")
	others := []string{"latchkey_migrate", "latchkey_serve", "latchkey_river", "latchkey_river_east", "latchkey_migrations", "latchkey_cookie", "latchkey_era"} // roles, schemas, claims
	for _, document := range glob(t, "*.md") {
		text := read(t, document)
		for _, name := range metricNames.FindAllString(text, -1) {
			if plain := regexp.MustCompile(`_(?:bucket|sum|count)$`).ReplaceAllString(name, ""); !slices.Contains(metrics, name) && !slices.Contains(metrics, plain) && !slices.Contains(others, name) {
				t.Errorf("%s names %s, which is no metric of operations.md", document, name)
			}
		}
		for _, name := range alertNames.FindAllString(text, -1) {
			if !strings.Contains(alerts, "alert: "+name+"\n") {
				t.Errorf("%s names the alert %s, which there is not", document, name)
			}
		}
	}
	code := sources(t)
	named := 0
	for _, m := range saidInLog.FindAllStringSubmatch(read(t, "troubleshooting.md"), -1) {
		line := m[1] + m[2]
		if strings.HasPrefix(line, "api ") { // commands have a separate test
			continue
		}
		named++
		if !strings.Contains(code, line) {
			t.Errorf("nothing in the program says %q", line)
		}
	}
	if len(metrics) < 40 || named < 8 {
		t.Errorf("%d metrics, %d lines of the log: are they read?", len(metrics), named)
	}
}

// sources are those of the program, without its tests.
func sources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	if err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{"node_modules", "bench", "test", "tools", "examples", "var"}, entry.Name()):
			return fs.SkipDir
		case entry.IsDir(), filepath.Ext(path) != ".go", strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all.String()
}
