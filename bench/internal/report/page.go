package report

import (
	"embed"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/template"

	"github.com/dustin/go-humanize"
	"go.yaml.in/yaml/v3"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// PageName is the report's among the documents.
const PageName = "report.md"

//go:embed *.tmpl
var templates embed.FS

// Documents returns the report, and the pictures of which there is something to show, which are in the folder of the
// given name.
func Documents(r Results, folder string) map[string][]byte {
	documents := make(map[string][]byte)
	for name, p := range r.pictures() {
		if len(p.Groups) > 0 {
			documents[name] = p.svg()
		}
	}
	page := r.execute("page.md.tmpl", template.FuncMap{
		"folder":  func() string { return folder },
		"picture": func(name string) bool { return documents[name] != nil },
	})
	documents[PageName] = []byte(strings.TrimRight(page, "\n") + "\n")
	return documents
}

// execute fills one of the templates.
func (r Results) execute(name string, more template.FuncMap) string {
	var out strings.Builder
	t := template.New(name).Funcs(r.functions()).Funcs(more)
	must.Do(must.Get(t.ParseFS(templates, name, "names.tmpl")).Execute(&out, r))
	return out.String()
}

// decode fills a template that makes YAML, and reads it.
func (r Results) decode(name string, into any) {
	must.Do(yaml.Unmarshal([]byte(r.execute(name, nil)), into))
}

// functions are what the templates find rows by, and write them with.
func (r Results) functions() template.FuncMap {
	return template.FuncMap{
		"list":       func(all ...string) []string { return all },
		"operations": operations,
		"row":        func(layer, name, variant string) Row { return r.group(Main(r.Workers), layer, name, variant) },
		"group":      r.group,
		"at":         At,
		"sized": func(layer, name, variant string, sessions int) Row {
			return Find(r.Rows, Key{Group: SizeGroup, Layer: layer, Operation: name, Variant: variant, Sessions: sessions})
		},
		"checkpoint": func(state string, n int) Row {
			return Find(r.Rows, Key{Group: CheckpointGroup, State: state, Sessions: n})
		},
		"rival":     r.rival,
		"rate":      func(row Row) string { return some(row.PerSecond()) },
		"ratios":    ratios,
		"ratio":     ratio,
		"share":     share,
		"times":     times,
		"bar":       bar,
		"colour":    func(i int) string { return inOrder[i%len(inOrder)] },
		"of":        of,
		"count":     Thousands,
		"number":    func(n int) string { return Thousands(float64(n)) },
		"some":      some,
		"bytes":     bytes,
		"mebibytes": func(n int64) float64 { return float64(n) / (1 << 20) },
		"percent":   percent,
		"sessions":  sessions,
		"spreadOf":  spreadOf,
		"median":    func(values []float64) string { return Thousands(spreadOf(values).Median) },
		"ms":        milliseconds,
	}
}

// operations are those that there is a line or a bar for, by their names and, behind a comma, their variants.
func operations(all ...string) []Key {
	keys := make([]Key, len(all))
	for i, text := range all {
		keys[i].Operation, keys[i].Variant, _ = strings.Cut(text, ", ")
	}
	return keys
}

// ratio is that of two rows, round by round.
func ratio(row, of Row) spread { return ratios(row.Rounds, of.Rounds) }

// share is the same in YAML.
func share(row, of Row) string {
	s := ratio(row, of)
	return fmt.Sprintf("{median: %v, min: %v, max: %v}", s.Median, s.Min, s.Max)
}

// times compares rows that were measured one after the other, if both were.
func times(row, of Row) float64 {
	if len(row.Rounds) == 0 || len(of.Rounds) == 0 {
		return 0
	}
	return row.PerSecond() / of.PerSecond()
}

// Fits says where tables of a size have room.
func (r Results) Fits(s Size) string {
	switch total := s.TableBytes + s.IndexBytes; {
	case total < r.SharedBuffers:
		return "fits in shared_buffers"
	case total < r.Machine.MemoryBytes-r.SharedBuffers:
		return "fits in memory, not in shared_buffers"
	default:
		return "does not fit in the machine's memory"
	}
}

// rival finds a rival's row at a number of workers.
func (r Results) rival(workers int, layer, name string) Row {
	return Find(r.Rivals, Key{Layer: layer, Operation: name, Workers: workers})
}

// Main is what was measured at each number of workers.
func (r Results) Main() map[int][]Row {
	at := make(map[int][]Row)
	for _, row := range r.Rows {
		if row.Group == Main(row.Workers) {
			at[row.Workers] = append(at[row.Workers], row)
		}
	}
	return at
}

// spread is a median, and how far the values lay apart.
type spread struct{ Median, Min, Max float64 }

// spreadOf returns the spread of the values; the zero one where there are none. The median of an even number of values is
// the mean of the two in the middle.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted, n := slices.Sorted(slices.Values(values)), len(values)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]}
}

// String is that of a ratio, and empty where there is none.
func (s spread) String() string {
	if s == (spread{}) {
		return ""
	}
	return fmt.Sprintf("%s (%.0f–%.0f)", percent(s.Median), 100*s.Min, 100*s.Max)
}

// ratios returns a/b, taken round by round: what slows the machine down for a while slows down both of a round, and so
// moves their ratio less than either. Rounds that only one side has, and rounds without a value of b, do not count.
func ratios(a, b []float64) spread {
	var all []float64
	for i := range min(len(a), len(b)) {
		if b[i] > 0 {
			all = append(all, a[i]/b[i])
		}
	}
	return spreadOf(all)
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

// bytes writes a size as people read it.
func bytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%d KiB", n>>10)
	}
}

// Thousands writes a number with a comma for each thousand.
func Thousands(n float64) string { return humanize.Comma(int64(math.RoundToEven(n))) }

// some writes a number, and nothing for one that was not measured.
func some(n float64) string {
	if n == 0 {
		return ""
	}
	return Thousands(n)
}

// sessions writes thousands and millions in words.
func sessions(n int) string {
	switch {
	case n >= 1_000_000 && n%1_000_000 == 0:
		return fmt.Sprintf("%d million", n/1_000_000)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%d thousand", n/1000)
	default:
		return Thousands(float64(n))
	}
}

// milliseconds writes a time with as many digits as are useful.
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
