package report

import (
	"fmt"
	"strings"

	"github.com/latchkey-sessions/latchkey/bench/internal/stats"
)

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// spread is a ratio with how far its rounds lay apart.
func spread(s stats.Spread) string {
	return fmt.Sprintf("%s (%.0f–%.0f)", percent(s.Median), 100*s.Min, 100*s.Max)
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// bytes writes a size as people read it.
func bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", mebibytes(n))
	default:
		return fmt.Sprintf("%d KiB", n>>10)
	}
}

// count writes a number with a comma for each thousand.
func count(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}

	return text
}

// people write thousands and millions of sessions in words.
func sessions(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%d million", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%d thousand", n/1000)
	default:
		return count(float64(n))
	}
}

func milliseconds(ms float64) string {
	switch {
	case ms >= 100:
		return fmt.Sprintf("%.0f", ms)
	case ms >= 10:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.2f", ms)
	}
}

// orNone writes a number, and nothing for one that was not measured.
func orNone(n float64, format func(float64) string) string {
	if n == 0 {
		return ""
	}

	return format(n)
}

// table is a Markdown table.
type table struct {
	b     strings.Builder
	width int
}

// newTable begins one. A column whose title ends with a colon has its numbers on the right.
func newTable(columns ...string) *table {
	t := &table{width: len(columns)}
	rules := make([]string, len(columns))
	for i, column := range columns {
		title, right := strings.CutSuffix(column, ":")
		columns[i], rules[i] = title, "---"
		if right {
			rules[i] = "---:"
		}
	}
	t.line(columns)
	t.line(rules)

	return t
}

func (t *table) row(cells ...string) { t.line(cells) }

func (t *table) line(cells []string) {
	t.b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

func (t *table) String() string { return t.b.String() }
