package report

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

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
	must.Do(must.Get(t.ParseFS(templates, name)).Execute(&out, r))
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
		"checkpoint": func(state string, sessions int) Row {
			return Find(r.Rows, Key{Group: CheckpointGroup, State: state, Sessions: sessions})
		},
		"rival":     func(layer, name string) Row { return r.rivalAt(r.Workers, layer, name) },
		"rivalAt":   r.rivalAt,
		"rate":      func(row Row) string { return some(row.PerSecond()) },
		"ratios":    ratios,
		"ratio":     ratio,
		"share":     share,
		"times":     times,
		"bar":       bar,
		"tail":      tail,
		"colour":    func(i int) string { return inOrder[i%len(inOrder)] },
		"of":        of,
		"route":     route,
		"titled":    titled,
		"line":      func(text string) string { return strings.ReplaceAll(text, "\n", " ") },
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

// operation is one that there is a line or a bar for, by its name and, behind a comma, its variant.
type operation struct{ Name, Variant string }

func operations(all ...string) []operation {
	named := make([]operation, len(all))
	for i, text := range all {
		named[i].Name, named[i].Variant, _ = strings.Cut(text, ", ")
	}
	return named
}

func titled(name, variant string) string {
	if variant == "" {
		return name
	}
	return name + ", " + variant
}

// route is what an operation is called where the service is meant.
func route(operation string) string {
	if operation == Get {
		return "introspect"
	}
	return operation
}

// ratio is that of two rows, and empty where one of them was not measured.
func ratio(row, of Row) string { return compared(row, of, spread.String) }

// share is the same in YAML.
func share(row, of Row) string {
	return compared(row, of, func(s spread) string { return fmt.Sprintf("{median: %v, min: %v, max: %v}", s.Median, s.Min, s.Max) })
}

func compared(row, of Row, write func(spread) string) string {
	if len(row.Rounds) == 0 || len(of.Rounds) == 0 {
		return ""
	}
	return write(ratios(row.Rounds, of.Rounds))
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

// Concurrencies are the numbers of workers that all operations were measured at.
func (r Results) Concurrencies() []int { return slices.Sorted(maps.Keys(r.Main())) }

// rivalAt finds a rival's row at a number of workers.
func (r Results) rivalAt(workers int, layer, name string) Row {
	return Find(r.Rivals, Key{Layer: layer, Operation: name, Workers: workers})
}

// Overloaded reports whether a queue built up in an open loop: half of the requests took longer than with as many
// connections in a closed one, in which no more wait than there are connections.
func (r Results) Overloaded(row Row) bool {
	return row.P50 > r.group(Main(row.Workers), row.Layer, row.Operation, row.Variant).P50
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
