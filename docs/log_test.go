package docs_test

import (
	"regexp"
	"strings"
	"testing"
)

var (
	inSeconds    = regexp.MustCompile(`"([a-z_]+)", [^"]*(?:\.Seconds\(\)|\.Milliseconds\(\)\)/1000)`)
	durationText = regexp.MustCompile(`slog\.Duration\(|(?:Timeout|Delay|Interval|Pause|Offset|Uncertainty|Age|Since\([^)]*\)|Round\([^)]*\))\.String\(\)`)
)

// A duration in the log has its unit in its name, and is a number: a reader at night, or a
// program that compares it, need not know how Go writes durations.
func TestDurationsInTheLogHaveTheirUnit(t *testing.T) {
	t.Parallel()
	found := 0
	for line := range strings.Lines(sources(t)) {
		if !strings.Contains(strings.ToLower(line), "log") {
			continue
		}
		if durationText.MatchString(line) {
			t.Errorf("a duration without its unit: %s", strings.TrimSpace(line))
		}
		for _, m := range inSeconds.FindAllStringSubmatch(line, -1) {
			found++
			if !strings.HasSuffix(m[1], "_seconds") {
				t.Errorf("%s is in seconds: %s", m[1], strings.TrimSpace(line))
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d durations were found", found)
	}
}
