package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress tells somebody who waits what is going on, and for how long still.
type progress struct {
	out io.Writer
	// terminal has a last line that changes.
	terminal bool
	now      func() time.Time

	began    time.Time
	planned  time.Duration // of everything
	finished time.Duration // of what was planned
	task     string
	estimate time.Duration
	share    float64 // of the task
	shown    time.Time
}

func newProgress(out io.Writer, terminal bool) *progress {
	return &progress{out: out, terminal: terminal, now: time.Now, began: time.Now()}
}

// start begins a task that was planned to take so long.
func (p *progress) start(task string, estimate time.Duration) {
	p.finished += p.estimate
	p.task, p.estimate, p.share = task, estimate, 0
	p.shown = time.Time{}
	if p.terminal {
		p.status()
	} else {
		p.line(fmt.Sprintf("%s %s", p.left(), task))
	}
}

// at tells how much of the task is done.
func (p *progress) at(share float64) {
	p.share = share
	if p.terminal && p.now().Sub(p.shown) > 200*time.Millisecond {
		p.status()
	}
}

// say is a result, which stays.
func (p *progress) say(text string) {
	p.line("    " + text)
	if p.terminal {
		p.status()
	}
}

func (p *progress) line(text string) {
	if p.terminal {
		_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s\n", text) // nobody can be told that nobody can be told
		return
	}
	_, _ = fmt.Fprintln(p.out, text)
}

func (p *progress) status() {
	p.shown = p.now()
	_, _ = fmt.Fprintf(p.out, "\r\x1b[K%s %s", p.left(), p.task)
}

// left estimates what is left from how the plan has held so far.
func (p *progress) left() string {
	done := p.finished + time.Duration(p.share*float64(p.estimate))
	if p.planned <= 0 {
		return "[  0 %]"
	}
	done = min(done, p.planned)
	remaining := p.planned - done
	if took := p.now().Sub(p.began); done > p.planned/20 {
		remaining = time.Duration(float64(remaining) * float64(took) / float64(done))
	}

	return fmt.Sprintf("[%3.0f %%, %s left]", 100*float64(done)/float64(p.planned), roughly(remaining))
}

// end takes the changing line away.
func (p *progress) end() {
	if p.terminal {
		_, _ = fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func roughly(d time.Duration) string {
	if d < 90*time.Second {
		return fmt.Sprintf("%2.0f s", d.Seconds())
	}

	return fmt.Sprintf("%2.0f min", d.Minutes())
}

// thousands writes a number as people read it.
func thousands(n float64) string {
	text := fmt.Sprintf("%.0f", n)
	var parts []string
	for len(text) > 3 {
		parts = append([]string{text[len(text)-3:]}, parts...)
		text = text[:len(text)-3]
	}

	return strings.Join(append([]string{text}, parts...), ",")
}
