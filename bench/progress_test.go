package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressFollowsHowThePlanHolds(t *testing.T) {
	t.Parallel()

	var out bytes.Buffer
	p := newProgress(&out, false)
	clock := p.began
	p.now = func() time.Time { return clock }
	p.planned = 10 * time.Minute
	p.start("first", 2*time.Minute)
	clock = clock.Add(4 * time.Minute) // twice as long as planned
	p.say("done")
	p.start("second", 8*time.Minute)
	clock = clock.Add(8 * time.Minute)
	p.at(0.5)
	p.start("third", 0)

	want := "[  0 %, 10 min left] first\n    done\n[ 20 %, 16 min left] second\n[100 %,  0 s left] third\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestATerminalHasOneChangingLine(t *testing.T) {
	t.Parallel()

	var out bytes.Buffer
	p := newProgress(&out, true)
	p.planned = time.Minute
	p.start("work", time.Minute)
	p.at(0.5) // too soon after the last time
	p.say("a result")
	p.end()
	if lines := strings.Count(out.String(), "\n"); lines != 1 {
		t.Errorf("%d lines stay:\n%q", lines, out.String())
	}
	if !strings.Contains(out.String(), "\x1b[K    a result\n") || !strings.HasSuffix(out.String(), "\r\x1b[K") {
		t.Errorf("got %q", out.String())
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()

	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567.8: "1,234,568"} {
		if got := thousands(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}
