package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	t.Parallel()

	tasks := []task{{name: "first", estimate: 2 * time.Minute}, {name: "second", estimate: 8 * time.Minute}}
	for _, terminal := range []bool{false, true} {
		var out bytes.Buffer
		p := newProgress(&out, terminal)
		p.plan(tasks)
		p.start("first", 2*time.Minute)
		p.say("a result")
		p.start("second", 8*time.Minute)
		p.at(0.5)
		p.end()
		text := out.String()
		if !strings.Contains(text, "a result\n") || !strings.Contains(text, "first") {
			t.Errorf("got %q", text)
		}
		if moves := strings.Contains(text, "\r"); moves != terminal {
			t.Errorf("terminal %v: got %q", terminal, text)
		}
		if !terminal && (!strings.HasPrefix(text, "[  0 %, 10m0s left] first\n") || !strings.Contains(text, "[ 20 %")) {
			t.Errorf("got %q", text)
		}
	}
}
