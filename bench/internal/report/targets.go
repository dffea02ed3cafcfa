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

	AtLeast float64 `yaml:"at_least"` // instead of Wanted, Measured and Reached, of a share
	Share   *spread
	Each    []at // instead of these, of shares at several numbers of workers
}

// at is the share at a number of workers.
type at struct {
	Workers int
	AtLeast float64 `yaml:"at_least"`
	Share   *spread
}

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
		t := &targets[i]
		if t.AtLeast > 0 {
			t.Wanted = percent(t.AtLeast) + " or more"
		}
		t.judgeEach()
		if t.Share != nil {
			t.Measured, t.Reached = t.Share.String(), t.Share.Median >= t.AtLeast
		}
	}
	return targets
}

// judgeEach judges the shares at several numbers of workers: all have to be reached.
func (t *Target) judgeEach() {
	var wanted, measured []string
	reached := true
	for i, one := range t.Each {
		if i == len(t.Each)-1 || t.Each[i+1].AtLeast != one.AtLeast {
			wanted = append(wanted, fmt.Sprintf("%s or more up to %d", percent(one.AtLeast), one.Workers))
		}
		if one.Share != nil {
			measured = append(measured, fmt.Sprintf("%s at %d", percent(one.Share.Median), one.Workers))
			reached = reached && one.Share.Median >= one.AtLeast
		}
	}
	if len(t.Each) > 0 {
		t.Wanted, t.Measured, t.Reached = strings.Join(wanted, ", "), strings.Join(measured, ", "), reached
	}
}

// Distances are the targets that were missed for a known reason.
func (r Results) Distances() []Target {
	return slices.DeleteFunc(r.Targets(), func(t Target) bool { return t.Verdict() != "no" || t.Distance == "" })
}

// MostRoundTrips is how many the operation makes that makes the most.
func (r Results) MostRoundTrips() (most float64) {
	for _, c := range r.Counts {
		most = max(most, c.RoundTrips)
	}
	return most
}
