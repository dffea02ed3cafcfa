package verifier_test

import (
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/verifier"
)

// Both clocks continue, and the one that shows more time
// counts.
func TestMoment(t *testing.T) {
	t.Parallel()
	wall := time.Unix(1795219300, 0)
	moment := verifier.Moment{Mono: time.Hour, Wall: wall}
	if got, want := moment.Add(time.Second), (verifier.Moment{Mono: time.Hour + time.Second, Wall: wall.Add(time.Second)}); got != want {
		t.Errorf("a second later it is %v, want %v", got, want)
	}
	slept := verifier.Moment{Mono: time.Hour, Wall: wall.Add(time.Minute)}
	setBack := verifier.Moment{Mono: 2 * time.Hour, Wall: wall.Add(-time.Hour)}
	if slept.Since(moment) != time.Minute || setBack.Since(moment) != time.Hour {
		t.Errorf("%v and %v have passed", slept.Since(moment), setBack.Since(moment))
	}
}
