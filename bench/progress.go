package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress tells somebody who waits what is going on, and for how long still.
type progress struct {
	out io.Writer
	// terminal has a last line that changes.
	terminal bool
	bar      *progressbar.ProgressBar // in nanoseconds that are planned

	planned            time.Duration // of all tasks
	finished, estimate time.Duration // of the tasks before, and of this one
}

func newProgress(out io.Writer, terminal bool) *progress {
	return &progress{out: out, terminal: terminal}
}

func (p *progress) plan(tasks []task) {
	for _, t := range tasks {
		p.planned += t.estimate
	}
	shown := io.Discard
	if p.terminal {
		shown = p.out
	}
	p.bar = progressbar.NewOptions64(int64(p.planned), progressbar.OptionSetWriter(shown), progressbar.OptionSetWidth(20),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionFullWidth(), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
}

// start begins a task that was planned to take so long.
func (p *progress) start(task string, estimate time.Duration) {
	p.finished += p.estimate
	p.estimate = estimate
	p.bar.Describe(task)
	p.at(0)
	if !p.terminal {
		share, left := p.bar.State().CurrentPercent, p.planned
		if share > 0 {
			left = time.Duration(p.bar.State().SecondsLeft * float64(time.Second))
		}
		p.say(fmt.Sprintf("[%3.0f %%, %v left] %s", 100*share, left.Round(time.Second), task))
	}
}

// at tells how much of the task is done.
func (p *progress) at(share float64) {
	_ = p.bar.Set64(int64(p.finished + time.Duration(share*float64(p.estimate)))) // nobody can be told that nobody can be told
}

// say is a result, which stays.
func (p *progress) say(text string) {
	_ = p.bar.Clear() // as above
	_, _ = fmt.Fprintln(p.out, text)
	_ = p.bar.RenderBlank() // as above
}

// end takes the changing line away.
func (p *progress) end() { _ = p.bar.Clear() } // as above
