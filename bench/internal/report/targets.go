package report

import "slices"

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
		if t.Share != nil {
			t.Measured, t.Reached = t.Share.String(), t.Share.Median >= t.AtLeast
		}
	}
	return targets
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
