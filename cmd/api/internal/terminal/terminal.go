// Package terminal handles output that a person reads at a terminal.
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

// Is reports whether w is a terminal, so that a person reads what is written to it.
func Is(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// Harmless removes from a client's text whatever could control a terminal or break a table.
func Harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '�'
	}, s)
}

// Bar shows how far a task is, on the last line of a terminal.
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

// At sets how much is done. That may turn out to be more than was counted. A failure to write to the terminal is not a
// reason to stop.
func (b Bar) At(done int64) {
	if done > b.GetMax64() {
		b.ChangeMax64(done + 1) // a full bar would be removed
	}
	_ = b.Set64(min(done, b.GetMax64()-1))
}

// End removes the bar.
func (b Bar) End() { _ = b.Finish() }
