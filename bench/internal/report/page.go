package report

import (
	_ "embed"
	"slices"
	"strings"
	"text/template"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

//go:embed page.md.tmpl
var pageText string

// page is what the template sees.
type page struct {
	Results

	Folder string // of the pictures, as the report links to them
}

// operation is one that the report has a line for.
type operation struct{ Layer, Name, Variant string }

func (o operation) String() string {
	if o.Name == Get {
		return titled(o.Name, o.Variant)
	}

	return o.Name
}

// operations are those that all layers have, in the order in which they are shown. Of get, what is usual: a token that
// was presented before.
var operations = []operation{
	{Name: Refresh}, {Name: Create}, {Name: Get, Variant: Seen}, {Name: Update}, {Name: Revoke},
}

// page returns the report, whose pictures are in the folder of the given name.
func (r Results) page(folder string) []byte {
	charts := r.charts()
	functions := template.FuncMap{
		"operations": func() []operation {
			return append(slices.Clone(operations), operation{Name: Get, Variant: NotSeen})
		},
		"sizedOperations": func() []operation {
			return []operation{{Name: Refresh}, {Name: Get, Variant: Seen}, {Name: Get, Variant: NotSeen}}
		},
		"edgeOperations": func() []operation {
			return []operation{{Layer: Limit, Name: Unchecked}, {Layer: Limit, Name: BareCheck}, {Layer: Edge, Name: Accept}}
		},
		"followVariants": func() []string { return []string{NotFollowed, Followed, Busy, FollowedBusily} },
		"row":            r.main,
		"group":          r.grouped,
		"sized":          r.sized,
		"picture":        func(name string) bool { return len(charts[name].groups) > 0 },
		"rate":           func(row Row) string { return some(row.PerSecond()) },
		"ratio":          ratio,
		"route":          route,
		"titled":         titled,
		"line":           func(text string) string { return strings.ReplaceAll(text, "\n", " ") },
		"count":          Thousands,
		"number":         func(n int) string { return Thousands(float64(n)) },
		"some":           some,
		"bytes":          bytes,
		"percent":        percent,
		"sessions":       sessions,
		"spreadOf":       spreadOf,
		"median":         func(values []float64) string { return Thousands(median(values)) },
		"ms":             milliseconds,
		"someMs": func(ms float64) string {
			if ms == 0 {
				return ""
			}
			return milliseconds(ms)
		},
	}
	var out strings.Builder
	must.Do(must.Get(template.New("page").Funcs(functions).Parse(pageText)).Execute(&out, page{r, folder}))

	return []byte(strings.TrimRight(out.String(), "\n") + "\n")
}

// route is what an operation is called where the service is meant.
func route(operation string) string {
	if operation == Get {
		return "introspect"
	}

	return operation
}

func titled(name, variant string) string {
	if variant == "" {
		return name
	}

	return name + ", " + variant
}

// ratio is empty for rows that were not measured in turn.
func ratio(row, of Row) string {
	if len(row.Rounds) == 0 || len(of.Rounds) == 0 || row.Group != of.Group {
		return ""
	}

	return ratios(row.Rounds, of.Rounds).String()
}

// Targets are all.
func (p page) Targets() []Target { return Targets(p.Results) }

// Distances are the targets that were missed for a known reason.
func (p page) Distances() []Target {
	return slices.DeleteFunc(p.Targets(), func(t Target) bool { return t.Unknown || t.Reached || t.Distance == "" })
}

// Fits says where tables of a size have room.
func (p page) Fits(s Size) string {
	switch total := s.TableBytes + s.IndexBytes; {
	case total < p.SharedBuffers:
		return "fits in shared_buffers"
	case total < p.Machine.MemoryBytes-p.SharedBuffers:
		return "fits in memory, not in shared_buffers"
	default:
		return "does not fit in the machine's memory"
	}
}

// processorTime is what an operation takes of the processor in microseconds.
type processorTime struct {
	Row

	Own, Generator, Together float64
}

// Allows is how many operations a second so many cores could do.
func (t processorTime) Allows(cores int) float64 { return float64(cores) * 1e6 / t.Together }

// ProcessorTimes are of each operation through each layer.
func (p page) ProcessorTimes() (all []processorTime) {
	for _, o := range operations {
		for _, layer := range []string{Bare, Packages, HTTP} {
			variant := o.Variant
			if layer == Bare {
				variant = ""
			}
			row := p.main(layer, o.Name, variant)
			if row.DatabaseCPU == 0 {
				continue
			}
			t := processorTime{Row: row, Own: row.ClientCPU}
			if layer == HTTP {
				t.Own, t.Generator = row.ServerCPU, row.ClientCPU
			}
			t.Together = row.DatabaseCPU + t.Own + t.Generator
			all = append(all, t)
		}
	}

	return all
}

// Limits are those of any such service.
func (p page) Limits() (all []Row) {
	for _, name := range []string{OneRow, OneRowTool, GetTool, Handler, ChiEdDSA, ChiHS256} {
		if row := p.main(Limit, name, ""); len(row.Rounds) > 0 {
			all = append(all, row)
		}
	}

	return all
}

// Checkpoints are the sizes of which refreshes were measured right after one.
func (p page) Checkpoints() (all []struct{ Steady, After Row }) {
	for _, s := range p.Sizes {
		of := func(state string) Row {
			return Find(p.Rows, Key{Operation: Refresh, Group: CheckpointGroup, State: state, Sessions: s.Sessions})
		}
		if after := of(AfterCheckpoint); len(after.Rounds) > 0 {
			all = append(all, struct{ Steady, After Row }{of(Steady), after})
		}
	}

	return all
}

// Main is what was measured at each number of workers.
func (p page) Main() map[int][]Row {
	at := make(map[int][]Row)
	for _, row := range p.Rows {
		if row.Group == Main(row.Workers) {
			at[row.Workers] = append(at[row.Workers], row)
		}
	}

	return at
}
