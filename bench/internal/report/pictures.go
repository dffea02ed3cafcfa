package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-analyze/charts"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// Colours of the layers, and of what is compared otherwise.
var (
	grey  = charts.ColorFromHex("#aab4c0")
	slate = charts.ColorFromHex("#6e7f94")
	blue  = charts.ColorFromHex("#2563eb")
	green = charts.ColorFromHex("#0f9d73")
	amber = charts.ColorFromHex("#d97706")
)

// chart is a picture of horizontal bars, in groups that have a place for each series.
type chart struct {
	title, subtitle string
	series          []series
	groups          []group
}

type series struct {
	name   string
	colour charts.Color
}

// group has a bar for each series.
type group struct {
	label string
	bars  []bar
}

// bar is a value with its label. Without a label there is nothing to show.
type bar struct {
	value float64
	label string
}

// PageName is the report's among the documents.
const PageName = "report.md"

// Documents returns the report, and the pictures of which there is something to show, which are in the folder of the
// given name.
func Documents(r Results, folder string) map[string][]byte {
	documents := map[string][]byte{PageName: r.page(folder)}
	for name, c := range r.charts() {
		if len(c.groups) > 0 {
			documents[name] = c.svg()
		}
	}

	return documents
}

func (r Results) charts() map[string]chart {
	return map[string]chart{
		"limit.svg": r.limitChart(), "latency.svg": r.latencyChart(), "sizes.svg": r.sizeChart(), "rivals.svg": r.rivalChart(),
	}
}

// Measures of a picture, in pixels.
const (
	chartWidth = 820
	edge       = 20
	barHeight  = 22
	groupGap   = 14
	heading    = 60
	legend     = 56
	labelRoom  = 1.65 // the axis is so many times as long as the longest bar
)

// wider leaves room in the legend for fonts that are wider than the one that the library measures with.
const wider = "\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0"

// dark lets a picture follow its reader's choice of light or dark.
const dark = `<style>@media (prefers-color-scheme:dark){svg{filter:invert(1) hue-rotate(180deg)}}</style>`

// svg draws the chart.
func (c chart) svg() []byte {
	small := charts.FontStyle{FontSize: 10, FontColor: charts.ColorBlack}
	option := charts.BarChartOption{Horizontal: true, BarSize: 0.8, SeriesLabelPosition: charts.PositionRight}
	most := 0.0
	var colours []charts.Color
	for i, s := range c.series {
		var values []float64
		var labels []string // of those with a value, for which the library asks in this order
		for _, g := range slices.Backward(c.groups) {
			if g.bars[i].label == "" {
				values = append(values, charts.GetNullValue())
				continue
			}
			most = max(most, g.bars[i].value)
			values, labels = append(values, g.bars[i].value), append(labels, g.bars[i].label)
		}
		colours = append(colours, s.colour)
		option.SeriesList = append(option.SeriesList, charts.BarSeries{Name: s.name, Values: values, Label: charts.SeriesLabel{
			Show: new(true),
			LabelFormatter: func(int, string, float64) (label string, _ *charts.LabelStyle) {
				label, labels = labels[0], labels[1:]
				return label, nil
			},
		}})
		option.Legend.SeriesNames = append(option.Legend.SeriesNames, s.name+wider)
	}
	for _, g := range slices.Backward(c.groups) {
		option.CategoryAxis.Labels = append(option.CategoryAxis.Labels, g.label+"\u00a0\u00a0")
	}
	option.Theme = charts.GetTheme(charts.ThemeLight).WithBackgroundColor(charts.ColorWhite).WithSeriesColors(colours)
	option.Padding = charts.NewBox(edge, heading, edge, edge)
	option.Legend.Offset, option.Legend.FontStyle = charts.OffsetLeft, small
	option.CategoryAxis.LabelFontStyle = small
	option.ValueAxis = []charts.ValueAxisOption{{Show: new(false), Min: new(0.0), Max: new(most * labelRoom)}}

	height := heading + legend + edge + len(c.groups)*(len(c.series)*barHeight+groupGap)
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: height})
	must.Do(painter.BarChart(option))
	painter.Text(c.title, edge, 30, 0, charts.FontStyle{FontSize: 14, FontColor: charts.ColorBlack})
	painter.Text(c.subtitle, edge, 50, 0, small)

	return []byte(strings.Replace(string(must.Get(painter.Bytes())), ">", ">"+dark, 1) + "\n")
}

func (r Results) limitChart() chart {
	c := chart{
		title: "Latchkey beside what the machine can do at the most",
		subtitle: fmt.Sprintf("operations a second, %d at once, %s sessions, fsync on; %d cores shared by PostgreSQL, service and load",
			r.Workers, sessions(r.Sessions), r.Machine.Cores),
		series: []series{
			{"limit: a one-row update by primary key", grey},
			{"limit: the operation's own statement, sent by a bare loop", slate},
			{"Latchkey's Go packages", blue},
			{"Latchkey's service, over HTTP", green},
		},
	}
	for _, o := range operations {
		bare, packages, service := r.main(Bare, o.Name, ""), r.main(Packages, o.Name, o.Variant), r.main(HTTP, o.Name, o.Variant)
		if len(bare.Rounds) == 0 {
			continue
		}
		var oneRow Row
		if o.Name != Get { // which changes nothing
			oneRow = r.main(Limit, OneRow, "")
		}
		c.groups = append(c.groups, group{o.Name, []bar{
			throughput(oneRow), throughput(bare), throughput(packages).of(packages, bare, "its statement"),
			throughput(service).of(service, packages, "the packages"),
		}})
	}

	return c
}

func throughput(row Row) bar {
	if len(row.Rounds) == 0 {
		return bar{}
	}

	return bar{row.PerSecond(), Thousands(row.PerSecond()) + "/s"}
}

// of adds which share of another row's that is.
func (b bar) of(row, of Row, name string) bar {
	if b.label != "" && row.Group == of.Group {
		b.label += fmt.Sprintf(" · %s of %s", percent(ratios(row.Rounds, of.Rounds).Median), name)
	}

	return b
}

func (r Results) latencyChart() chart {
	c := chart{
		title: "How long a request takes",
		subtitle: fmt.Sprintf("milliseconds, counted from when the request was due; %d connections, %s sessions",
			r.Workers, sessions(r.Sessions)),
		series: []series{{"half of the requests are faster (p50)", blue}, {"99 % are (p99)", green}, {"99.9 % are", amber}},
	}
	for _, l := range r.Latencies {
		if l.Workers != r.Workers {
			continue
		}
		ms := func(value float64) bar { return bar{value, milliseconds(value) + " ms"} }
		median := ms(l.P50)
		median.label += fmt.Sprintf(" · at %s of capacity", percent(l.Load))
		c.groups = append(c.groups, group{
			fmt.Sprintf("%s, %s/s", route(l.Operation), Thousands(l.PerSecond())), []bar{median, ms(l.P99), ms(l.P999)},
		})
	}

	return c
}

func (r Results) sizeChart() chart {
	c := chart{title: "The same with more sessions", subtitle: fmt.Sprintf("operations a second, %d at once", r.Workers)}
	if len(r.Sizes) < 2 {
		return c
	}
	colours := []charts.Color{blue, green, amber, slate, grey}
	for i, size := range r.Sizes {
		c.series = append(c.series, series{sessions(size.Sessions) + " sessions", colours[i%len(colours)]})
	}
	for _, o := range []struct{ layer, operation, variant, label string }{
		{Packages, Refresh, "", "refresh, packages"},
		{HTTP, Refresh, "", "refresh, HTTP"},
		{Packages, Get, Seen, "get, packages"},
		{HTTP, Get, Seen, "introspect, HTTP"},
	} {
		first := r.sized(o.layer, o.operation, o.variant, r.Sizes[0].Sessions)
		if len(first.Rounds) == 0 {
			continue
		}
		g := group{o.label, []bar{throughput(first)}}
		for _, size := range r.Sizes[1:] {
			row := r.sized(o.layer, o.operation, o.variant, size.Sessions)
			g.bars = append(g.bars, throughput(row).of(row, first, sessions(r.Sizes[0].Sessions)))
		}
		c.groups = append(c.groups, g)
	}

	return c
}

func (r Results) rivalChart() chart {
	c := chart{
		title: "Beside other session stores, on the same PostgreSQL",
		subtitle: fmt.Sprintf("operations a second, %d at once; a function in the process, or a request to a server",
			r.Workers),
		series: []series{
			{Compas + ", function", amber},
			{SCS + ", over HTTP", slate},
			{"Latchkey, function", blue},
			{"Latchkey, over HTTP", green},
		},
	}
	for _, o := range []struct{ label, operation, variant, rival, rivalOperation string }{
		{"create", Create, "", Compas, Create},
		{"refresh", Refresh, "", Compas, Refresh},
		{"get", Get, Seen, Compas, Get},
		{"check with data", Get, Seen, SCS, Read},
	} {
		rival := r.rival(o.rival, o.rivalOperation)
		if len(rival.Rounds) == 0 {
			continue
		}
		times := func(row Row) bar {
			b := throughput(row)
			if b.label != "" {
				b.label += fmt.Sprintf(" · %.1f ×", row.PerSecond()/rival.PerSecond())
			}
			return b
		}
		theirs := throughput(rival)
		function, service := times(r.main(Packages, o.operation, o.variant)), times(r.main(HTTP, o.operation, o.variant))
		if o.rival == Compas {
			c.groups = append(c.groups, group{o.label, []bar{theirs, {}, function, service}})
		} else { // both over HTTP
			c.groups = append(c.groups, group{o.label, []bar{{}, theirs, {}, service}})
		}
	}

	return c
}
