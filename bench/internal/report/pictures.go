package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/go-analyze/charts"
	"go.yaml.in/yaml/v3"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

// inOrder are the colours of series of which there may be any number.
var inOrder = []string{"blue", "green", "amber", "slate", "grey"}

// picture is one of horizontal bars, or of lines, in groups that have a place for each series.
type picture struct {
	Lines           bool
	Title, Subtitle string
	Series          []struct{ Name, Colour string }
	Groups          []struct {
		Label string
		Bars  []struct { // without a label there is nothing to show
			Value float64
			Label string
		}
	}
}

func (r Results) pictures() map[string]picture {
	var all struct {
		Colours  yaml.Node          // which the pictures refer to
		Pictures map[string]picture `yaml:",inline"`
	}
	r.decode("pictures.yaml.tmpl", &all)
	return all.Pictures
}

// bar is a throughput in YAML, with any additions to its label.
func bar(row Row, besides ...string) string {
	if len(row.Rounds) == 0 {
		return "{}"
	}
	return fmt.Sprintf(`{value: %v, label: "%s/s%s"}`, row.PerSecond(), Thousands(row.PerSecond()), strings.Join(besides, ""))
}

// of returns a row's share of another row's throughput, if both were measured alternately.
func of(row, of Row, name string) string {
	if row.Group != of.Group {
		return ""
	}
	return fmt.Sprintf(" · %s of %s", percent(ratio(row, of).Median), name)
}

// Measures of a picture, in pixels.
const (
	chartWidth = 820
	edge       = 20
	barHeight  = 22
	groupGap   = 14
	heading    = 60
	legend     = 56
	lineHeight = 420
	labelRoom  = 1.65 // the axis is this many times as long as the longest bar
)

var (
	small   = charts.FontStyle{FontSize: 10, FontColor: charts.ColorBlack}
	margins = charts.NewBox(edge, heading, edge, edge)
)

// wider leaves room in the legend for fonts that are wider than the one that the library measures with.
const wider = "\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0\u00a0"

// dark lets a picture follow its reader's choice of light or dark.
const dark = `<style>@media (prefers-color-scheme:dark){svg{filter:invert(1) hue-rotate(180deg)}}</style>`

// svg draws the picture.
func (p picture) svg() []byte {
	if p.Lines {
		return p.lines()
	}
	option := charts.BarChartOption{Horizontal: true, BarSize: 0.8, SeriesLabelPosition: charts.PositionRight, Padding: margins}
	option.Theme, option.Legend = p.series()
	most := 0.0
	for i, s := range p.Series {
		var values []float64
		var labels []string // of those with a value, for which the library asks in this order
		for _, g := range slices.Backward(p.Groups) {
			if g.Bars[i].Label == "" {
				values = append(values, charts.GetNullValue())
				continue
			}
			most = max(most, g.Bars[i].Value)
			values, labels = append(values, g.Bars[i].Value), append(labels, g.Bars[i].Label)
		}
		option.SeriesList = append(option.SeriesList, charts.BarSeries{Name: s.Name, Values: values, Label: charts.SeriesLabel{
			Show: new(true),
			LabelFormatter: func(int, string, float64) (label string, _ *charts.LabelStyle) {
				label, labels = labels[0], labels[1:]
				return label, nil
			},
		}})
	}
	for _, g := range slices.Backward(p.Groups) {
		option.CategoryAxis.Labels = append(option.CategoryAxis.Labels, g.Label+"\u00a0\u00a0")
	}
	option.CategoryAxis.LabelFontStyle = small
	option.ValueAxis = []charts.ValueAxisOption{{Show: new(false), Min: new(0.0), Max: new(most * labelRoom)}}

	height := heading + legend + edge + len(p.Groups)*(len(p.Series)*barHeight+groupGap)
	return p.draw(height, func(painter *charts.Painter) error { return painter.BarChart(option) })
}

// lines draws a line for each series, over the groups.
func (p picture) lines() []byte {
	option := charts.LineChartOption{Padding: margins}
	option.Theme, option.Legend = p.series()
	for i, s := range p.Series {
		series := charts.LineSeries{Name: s.Name + wider}
		for _, g := range p.Groups {
			series.Values = append(series.Values, g.Bars[i].Value)
		}
		option.SeriesList = append(option.SeriesList, series)
	}
	for _, g := range p.Groups {
		option.XAxis.Labels = append(option.XAxis.Labels, g.Label)
	}
	option.XAxis.LabelFontStyle = small
	option.YAxis = []charts.YAxisOption{{Min: new(0.0), LabelFontStyle: small}}
	option.ValueFormatter = Thousands
	return p.draw(lineHeight, func(painter *charts.Painter) error { return painter.LineChart(option) })
}

// series are the colours and the names of the series.
func (p picture) series() (charts.ColorPalette, charts.LegendOption) {
	var theirs []charts.Color
	legend := charts.LegendOption{Offset: charts.OffsetLeft, FontStyle: small}
	for _, s := range p.Series {
		theirs, legend.SeriesNames = append(theirs, charts.ColorFromHex(s.Colour)), append(legend.SeriesNames, s.Name+wider)
	}
	return charts.GetTheme(charts.ThemeLight).WithBackgroundColor(charts.ColorWhite).WithSeriesColors(theirs), legend
}

// draw draws a chart, with what it is about above it.
func (p picture) draw(height int, chart func(*charts.Painter) error) []byte {
	painter := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: chartWidth, Height: height})
	must.Do(chart(painter))
	painter.Text(p.Title, edge, 30, 0, charts.FontStyle{FontSize: 14, FontColor: charts.ColorBlack})
	painter.Text(p.Subtitle, edge, 50, 0, small)
	return []byte(strings.Replace(string(must.Get(painter.Bytes())), ">", ">"+dark, 1) + "\n")
}
