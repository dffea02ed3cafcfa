package report

import (
	"fmt"

	"github.com/latchkey-sessions/latchkey/bench/internal/stats"
	"github.com/latchkey-sessions/latchkey/bench/rivals"
)

// Names of the pictures.
const (
	limitPicture   = "limit.svg"
	latencyPicture = "latency.svg"
	sizePicture    = "sizes.svg"
	rivalPicture   = "rivals.svg"
)

// Pictures returns the pictures of which there is something to show, by their file names.
func Pictures(r Results) map[string][]byte {
	pictures := make(map[string][]byte)
	for name, c := range map[string]chart{
		limitPicture: r.limitChart(), latencyPicture: r.latencyChart(), sizePicture: r.sizeChart(), rivalPicture: r.rivalChart(),
	} {
		if len(c.groups) > 0 {
			pictures[name] = c.svg()
		}
	}

	return pictures
}

// durable are the operations that change something, which a one-row update is the limit of.
func durable(operation string) bool { return operation != Get && operation != Load }

// operations are those that all layers have, in the order in which they are shown. Of get, what is usual: a token that
// was presented before.
var operations = []struct{ name, variant string }{
	{Refresh, ""}, {Create, ""}, {Get, Seen}, {Update, ""}, {Revoke, ""},
}

func (r Results) limitChart() chart {
	c := chart{
		title: "Latchkey beside what the machine can do at the most",
		subtitle: fmt.Sprintf("operations a second, %d at once, %s sessions, fsync on; %d cores shared by PostgreSQL, service and load",
			r.Workers, sessions(r.Sessions), r.Machine.Cores),
		legend: []entry{
			{grey, "limit: a one-row update by primary key"},
			{slate, "limit: the operation's own statement, sent by a bare loop"},
			{blue, "Latchkey's Go packages"},
			{green, "Latchkey's service, over HTTP"},
		},
	}
	oneRow, _ := r.main(Limit, OneRow, "")
	for _, o := range operations {
		bare, known := r.main(Bare, o.name, "")
		if !known {
			continue
		}
		g := group{label: o.name}
		if durable(o.name) && len(oneRow.Rounds) > 0 {
			g.bars = append(g.bars, bar{grey, oneRow.PerSecond(), perSecond(oneRow)})
		}
		g.bars = append(g.bars, bar{slate, bare.PerSecond(), perSecond(bare)})
		if packages, ok := r.main(Packages, o.name, o.variant); ok {
			g.bars = append(g.bars, bar{blue, packages.PerSecond(), perSecond(packages) + share(packages, bare, "its statement")})
			if service, ok := r.main(HTTP, o.name, o.variant); ok {
				g.bars = append(g.bars, bar{green, service.PerSecond(), perSecond(service) + share(service, packages, "the packages")})
			}
		}
		c.groups = append(c.groups, g)
	}

	return c
}

func perSecond(row Row) string { return count(row.PerSecond()) + "/s" }

func share(row, of Row, name string) string {
	if row.Group != of.Group {
		return ""
	}

	return fmt.Sprintf(" · %s of %s", percent(stats.Ratios(row.Rounds, of.Rounds).Median), name)
}

func (r Results) latencyChart() chart {
	c := chart{
		title: "How long a request takes",
		subtitle: fmt.Sprintf("milliseconds, counted from when the request was due; %d connections, %s sessions",
			r.Workers, sessions(r.Sessions)),
		legend: []entry{{blue, "half of the requests are faster (p50)"}, {green, "99 % are (p99)"}, {amber, "99.9 % are"}},
	}
	for _, l := range r.Latencies {
		if l.Connections != r.Workers {
			continue
		}
		ms := func(value float64) string { return milliseconds(value) + " ms" }
		c.groups = append(c.groups, group{
			label: fmt.Sprintf("%s, %s/s", route(l.Operation), count(l.PerSecond)),
			bars: []bar{
				{blue, l.P50, ms(l.P50) + fmt.Sprintf(" · at %s of capacity", percent(l.Load))}, {green, l.P99, ms(l.P99)}, {amber, l.P999, ms(l.P999)},
			},
		})
	}

	return c
}

func (r Results) sizeChart() chart {
	colours := []int{blue, green, amber, slate, grey}
	c := chart{
		title:    "The same with more sessions",
		subtitle: fmt.Sprintf("operations a second, %d at once", r.Workers),
	}
	if len(r.Sizes) < 2 {
		return c
	}
	for i, size := range r.Sizes {
		c.legend = append(c.legend, entry{colours[i%len(colours)], sessions(size.Sessions) + " sessions"})
	}
	for _, o := range []struct{ layer, operation, variant, label string }{
		{Packages, Refresh, "", "refresh, packages"},
		{HTTP, Refresh, "", "refresh, HTTP"},
		{Packages, Get, Seen, "get, packages"},
		{HTTP, Get, Seen, "introspect, HTTP"},
	} {
		g := group{label: o.label}
		var first Row
		for i, size := range r.Sizes {
			row, ok := r.find(Key{Layer: o.layer, Operation: o.operation, Variant: o.variant, Group: SizeGroup, Sessions: size.Sessions})
			if !ok {
				continue
			}
			label := perSecond(row)
			if i == 0 {
				first = row
			} else {
				label += share(row, first, sessions(r.Sizes[0].Sessions))
			}
			g.bars = append(g.bars, bar{colours[i%len(colours)], row.PerSecond(), label})
		}
		if len(g.bars) > 0 {
			c.groups = append(c.groups, g)
		}
	}

	return c
}

// rivalRead is the operation of scs that does what introspection does: the session of a request is loaded.
const rivalRead = "read over HTTP"

func (r Results) rivalChart() chart {
	c := chart{
		title: "Beside other session stores, on the same PostgreSQL",
		subtitle: fmt.Sprintf("operations a second, %d at once; a function in the process, or a request to a server",
			r.Workers),
		legend: []entry{
			{amber, rivals.CompasName + ", function"},
			{slate, rivals.SCSName + ", over HTTP"},
			{blue, "Latchkey, function"},
			{green, "Latchkey, over HTTP"},
		},
	}
	if len(r.Rivals) == 0 {
		return c
	}
	for _, o := range []struct {
		label, operation, variant string
		rival, rivalOperation     string
		colour                    int
	}{
		{"create", Create, "", rivals.CompasName, Create, amber},
		{"refresh", Refresh, "", rivals.CompasName, Refresh, amber},
		{"get", Get, Seen, rivals.CompasName, Get, amber},
		{"check with data", Get, Seen, rivals.SCSName, rivalRead, slate},
	} {
		rival, ok := r.rival(o.rival, o.rivalOperation)
		if !ok {
			continue
		}
		g := group{label: o.label, bars: []bar{{o.colour, rival.PerSecond, count(rival.PerSecond) + "/s"}}}
		for _, layer := range []struct {
			name   string
			colour int
		}{{Packages, blue}, {HTTP, green}} {
			if layer.name == Packages && o.rival == rivals.SCSName {
				continue // both over HTTP
			}
			if row, ok := r.main(layer.name, o.operation, o.variant); ok {
				g.bars = append(g.bars, bar{layer.colour, row.PerSecond(), perSecond(row) + fmt.Sprintf(" · %.1f ×", row.PerSecond()/rival.PerSecond)})
			}
		}
		c.groups = append(c.groups, g)
	}

	return c
}
