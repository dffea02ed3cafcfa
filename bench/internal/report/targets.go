package report

import (
	"fmt"
	"slices"
	"strings"
)

// Target is a figure that must be reached, and what was measured.
type Target struct {
	What, Wanted string
	// Measured is empty for what was not measured in this run.
	Measured string
	Reached  bool
	// Distance says what is between the two, where it is not reached.
	Distance string

	at   `yaml:",inline"` // instead of Wanted, Measured and Reached, of a share
	Each []at             // instead of these, of shares at several numbers of workers
}

// at is a share, and at how many workers it was measured. It is zero if it was not.
type at struct {
	Workers int
	AtLeast float64 `yaml:"at_least"`
	Share   spread
}

func (a at) wanted() string { return percent(a.AtLeast) + " or more" }
func (a at) reached() bool  { return a.Share.Median >= a.AtLeast }

// Verdict is a word for it.
func (t Target) Verdict() string {
	switch {
	case t.Measured == "":
		return "not measured"
	case t.Reached:
		return "yes"
	default:
		return "no"
	}
}

// Targets judges the results.
func (r Results) Targets() (targets []Target) {
	r.decode("targets.yaml.tmpl", &targets)
	for i := range targets {
		switch t := &targets[i]; {
		case t.AtLeast > 0:
			t.Wanted, t.Measured, t.Reached = t.wanted(), t.Share.String(), t.reached()
		case len(t.Each) > 0:
			t.judgeEach()
		}
	}
	return targets
}

// judgeEach judges the shares at several numbers of workers: all have to be reached.
func (t *Target) judgeEach() {
	var wanted, measured []string
	t.Reached = true
	for i, one := range t.Each {
		if i == len(t.Each)-1 || t.Each[i+1].AtLeast != one.AtLeast {
			wanted = append(wanted, fmt.Sprintf("%s up to %d", one.wanted(), one.Workers))
		}
		if one.Share != (spread{}) {
			measured = append(measured, fmt.Sprintf("%s at %d", percent(one.Share.Median), one.Workers))
			t.Reached = t.Reached && one.reached()
		}
	}
	t.Wanted, t.Measured = strings.Join(wanted, ", "), strings.Join(measured, ", ")
}

// Distances are the targets that were missed for a known reason.
func (r Results) Distances() []Target {
	return slices.DeleteFunc(r.Targets(), func(t Target) bool { return t.Verdict() != "no" || t.Distance == "" })
}
