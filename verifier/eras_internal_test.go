package verifier

import (
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const eraOver = 100

// signedOut is one sign-out, or none.
func signedOut(era int64, until uint32) *signOut {
	if era == 0 {
		return nil
	}
	return &signOut{era: era, before: 50, until: until}
}

func (e *eras) keptEra() int64 {
	if kept := e.kept.Load(); kept != nil {
		return kept.era
	}
	return 0
}

// When a set is replaced, the latest sign-out is kept that the source no longer has, while its time is not over.
func TestSignOutsAreKept(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		last, earlier, kept int64 // eras: the source's, the earlier set's, and what that has kept
		until               uint32
		want                int64
	}{
		"none":                         {0, 0, 0, eraOver, 0},
		"the source has it":            {2, 2, 0, eraOver, 0},
		"the source has a later one":   {3, 2, 0, eraOver, 0},
		"the source has an earlier":    {1, 2, 0, eraOver, 2},
		"the source has none":          {0, 2, 0, eraOver, 2},
		"its time is over":             {0, 2, 0, eraOver - 1, 0},
		"it was kept before":           {1, 1, 2, eraOver, 2},
		"kept before, and time over":   {1, 1, 2, eraOver - 1, 0},
		"there is a later one by then": {0, 3, 2, eraOver, 3},
	} {
		var e, earlier eras
		e.last.Store(signedOut(test.last, eraOver))
		earlier.last.Store(signedOut(test.earlier, test.until))
		earlier.kept.Store(signedOut(test.kept, test.until))
		e.keep(&earlier, eraOver)
		if got := e.keptEra(); got != test.want {
			t.Errorf("%s: era %d is kept, want %d", name, got, test.want)
		}
	}
}

// A kept sign-out stays until its time is over, or the source has it, or a later one.
func TestKeptSignOutsAtTheirEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		last, kept int64
		until      uint32
		want       int64
	}{
		"none":                       {2, 0, eraOver, 0},
		"the source has none":        {0, 2, eraOver, 2},
		"the source has an earlier":  {1, 2, eraOver, 2},
		"its time is over":           {1, 2, eraOver - 1, 0},
		"over, and the source's":     {2, 2, eraOver - 1, 0},
		"the source has it":          {2, 2, eraOver, 0},
		"the source has a later one": {3, 2, eraOver, 0},
	} {
		var e eras
		e.last.Store(signedOut(test.last, eraOver))
		e.kept.Store(signedOut(test.kept, test.until))
		e.sweep(eraOver)
		if got := e.keptEra(); got != test.want {
			t.Errorf("%s: era %d is kept, want %d", name, got, test.want)
		}
	}
}

// A token of an earlier era is refused if it was issued before the second of the sign-out; otherwise the
// service decides. Of what two sign-outs say the refusal counts.
func TestVerdictOfAnEra(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		last, kept, era, issued int64
		want                    verdict
	}{
		{0, 0, 0, 0, live},
		{2, 0, 2, 0, live},
		{2, 0, 1, 49, revoked},
		{2, 0, 1, 50, unknown},
		{2, 0, 1, 51, unknown},
		{0, 2, 2, 0, live},
		{0, 2, 1, 49, revoked},
		{0, 2, 1, 50, unknown},
		{1, 2, 1, 49, revoked},
		{1, 2, 1, 50, unknown},
		{1, 2, 0, 49, revoked},
		{2, 1, 1, 50, unknown},
	} {
		var e eras
		e.last.Store(signedOut(test.last, eraOver))
		e.kept.Store(signedOut(test.kept, eraOver))
		token := tokens.Claims{Era: test.era, IssuedAt: time.Unix(test.issued, 0)}
		if got := e.verdict(&token); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}
