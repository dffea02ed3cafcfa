package refresh

import (
	"testing"
	"time"
)

func TestAcceptsAccess(t *testing.T) {
	t.Parallel()
	minted := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	rules := Rules{Grace: 15 * time.Second}
	refusing := rules
	refusing.RefuseReplaced = true
	for name, test := range map[string]struct {
		rules      Rules
		generation int64
		after      time.Duration
		want       bool
	}{
		"the newest":                 {rules, 7, time.Hour, true},
		"one that the database lost": {rules, 9, time.Hour, true},
		"the one before, at once":    {rules, 6, 0, true},
		"the one before, at last":    {rules, 6, 15*time.Second - 1, true},
		"the one before, too late":   {rules, 6, 15 * time.Second, false},
		"the one before that":        {rules, 5, 0, false},
		"the newest, refusing":       {refusing, 7, time.Hour, true},
		"the one before, refusing":   {refusing, 6, 0, false},
	} {
		if got := test.rules.AcceptsAccess(test.generation, 7, minted, minted.Add(test.after)); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
