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
	inSeconds    = regexp.MustCompile(`"([a-z_]+)", [^"]*\.Seconds\(\)`)
	durationText = regexp.MustCompile(`slog\.Duration\(|(?:Timeout|Delay|Interval|Pause|Offset|Uncertainty|Age|Since\([^)]*\)|Round\([^)]*\))\.String\(\)`)
)

// A duration in the log has its unit in its name, and is a number: whoever reads it at night, or
// has a program compare it, need not know how Go writes durations.
func TestDurationsInTheLogHaveTheirUnit(t *testing.T) {
	t.Parallel()
	found := 0
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
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "slog.") && !strings.Contains(strings.ToLower(line), "log") {
				continue
			}
			if durationText.MatchString(line) {
				t.Errorf("%s: a duration without its unit: %s", path, strings.TrimSpace(line))
			}
			for _, m := range inSeconds.FindAllStringSubmatch(line, -1) {
				found++
				if !strings.HasSuffix(m[1], "_seconds") {
					t.Errorf("%s: %s is in seconds: %s", path, m[1], strings.TrimSpace(line))
				}
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if found < 5 {
		t.Errorf("only %d durations were found", found)
	}
}
