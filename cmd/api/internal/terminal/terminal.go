// Package terminal is about a person who looks at what a command writes.
package terminal

import (
	"io"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Is says whether a person reads what is written to w.
func Is(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Harmless takes what could steer a terminal or break a table out of text that came from a client.
func Harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '�'
	}, s)
}

// Bar shows a person who waits how far a task is, on the last line of a terminal.
type Bar struct{ *progressbar.ProgressBar }

// NewBar shows how much of the total of something is done.
func NewBar(terminal io.Writer, total int64, what string) Bar {
	return Bar{progressbar.NewOptions64(max(total, 1), // 0 would mean an unknown total
		progressbar.OptionSetWriter(terminal),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionClearOnFinish(),
	)}
}

// At tells how much is done. There may turn out to be more than was counted. A
// terminal that cannot be written to is no reason to stop.
func (b Bar) At(done int64) {
	if done > b.GetMax64() {
		b.ChangeMax64(done + 1) // a bar that is full would be taken away
	}
	_ = b.Set64(min(done, b.GetMax64()-1))
}

// End takes the bar away.
func (b Bar) End() { _ = b.Finish() }
