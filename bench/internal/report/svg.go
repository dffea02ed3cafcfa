package report

import (
	"fmt"
	"html"
	"strings"
)

// chart is a picture of horizontal bars, in groups. Series with the same number have the same colour in every group.
type chart struct {
	title, subtitle string
	legend          []entry
	groups          []group
}

type entry struct {
	colour int
	label  string
}

type group struct {
	label string
	bars  []bar
}

type bar struct {
	colour int
	value  float64
	// label stands behind the bar.
	label string
}

// Colours of the layers, and of what is compared otherwise.
const (
	grey = iota
	slate
	blue
	green
	amber
)

// Measures of a picture.
const (
	chartWidth  = 820
	edge        = 24
	labelWidth  = 150
	valueWidth  = 210
	barHeight   = 18
	barGap      = 4
	groupGap    = 18
	legendSwab  = 12
	characterPx = 7.0 // of the legend's font, on average
)

// style lets a picture follow its reader's choice of light or dark. Text lies on the picture's own ground, so that it can
// be read even where the page has chosen otherwise.
const style = `<style>
text{font:13px -apple-system,BlinkMacSystemFont,"Segoe UI","Noto Sans",Helvetica,Arial,sans-serif;fill:#1f2328}
.title{font-size:17px;font-weight:600}
.soft{fill:#59636e}
.group{font-weight:600}
.ground{fill:#ffffff;stroke:#d1d9e0}
.axis{stroke:#d1d9e0}
.c0{fill:#aab4c0}.c1{fill:#6e7f94}.c2{fill:#2563eb}.c3{fill:#0f9d73}.c4{fill:#d97706}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}
.soft{fill:#9da7b3}
.ground{fill:#0d1117;stroke:#3d444d}
.axis{stroke:#3d444d}
.c0{fill:#59636e}.c1{fill:#8b99ab}.c2{fill:#6ea8fe}.c3{fill:#3fc799}.c4{fill:#f0a44b}
}
</style>
`

// svg draws the chart.
func (c chart) svg() []byte {
	most := 0.0
	for _, g := range c.groups {
		for _, b := range g.bars {
			most = max(most, b.value)
		}
	}
	if most == 0 {
		most = 1
	}
	const room = chartWidth - 2*edge - labelWidth - valueWidth
	scale := func(value float64) float64 { return max(1, value/most*room) }

	var body strings.Builder
	y := edge + 14
	text(&body, edge, y, "title", c.title)
	for line := range strings.SplitSeq(c.subtitle, "\n") {
		if line != "" {
			y += 20
			text(&body, edge, y, "soft", line)
		}
	}
	y = c.drawLegend(&body, y+14)
	top := y
	for i, g := range c.groups {
		if i > 0 {
			y += groupGap
		}
		middle := y + (len(g.bars)*(barHeight+barGap)-barGap)/2 + 5
		text(&body, edge, middle, "group", g.label)
		for _, b := range g.bars {
			fmt.Fprintf(&body, `<rect class="c%d" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`+"\n",
				b.colour, edge+labelWidth, y, scale(b.value), barHeight)
			text(&body, edge+labelWidth+scale(b.value)+8, y+barHeight-5, "soft", b.label)
			y += barHeight + barGap
		}
		y -= barGap
	}
	fmt.Fprintf(&body, `<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", edge+labelWidth, top-6, edge+labelWidth, y+6)
	height := y + edge

	var all strings.Builder
	fmt.Fprintf(&all, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n",
		chartWidth, height, chartWidth, height, html.EscapeString(c.title))
	all.WriteString(style)
	fmt.Fprintf(&all, `<rect class="ground" x="0.5" y="0.5" width="%d" height="%d" rx="6"/>`+"\n", chartWidth-1, height-1)
	all.WriteString(body.String())
	all.WriteString("</svg>\n")

	return []byte(all.String())
}

// drawLegend returns where the bars may begin.
func (c chart) drawLegend(body *strings.Builder, y int) int {
	x := float64(edge)
	for _, e := range c.legend {
		width := legendSwab + 6 + characterPx*float64(len(e.label))
		if x > edge && x+width > chartWidth-edge {
			x, y = edge, y+20
		}
		fmt.Fprintf(body, `<rect class="c%d" x="%.0f" y="%d" width="%d" height="%d" rx="2"/>`+"\n", e.colour, x, y, legendSwab, legendSwab)
		text(body, x+legendSwab+6, y+11, "", e.label)
		x += width + 20
	}

	return y + 20 + 14
}

func text[N int | float64](body *strings.Builder, x N, y int, class, content string) {
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(body, `<text x="%.0f" y="%d"%s>%s</text>`+"\n", float64(x), y, class, html.EscapeString(content))
}
