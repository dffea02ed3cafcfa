package command

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
)

// printJSON writes one JSON document and a newline to standard output.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// printTable prints a row for each item of the list, below the columns' names, if there are any.
func printTable[T any](w io.Writer, names []string, list []T, cells func(T) []string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if names != nil {
		_, _ = fmt.Fprintln(table, strings.Join(names, "\t")) // Flush returns its error
	}
	for _, row := range list {
		_, _ = fmt.Fprintln(table, strings.Join(cells(row), "\t"))
	}
	return table.Flush()
}

// formatTime returns "" for no time.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func plural(n int64, thing string) string {
	if n == 1 {
		return thing
	}
	return thing + "s"
}

// progress shows how far a task is: to a person with a progress bar, otherwise by calling say once per minute. The
// task calls at; end removes the bar.
func (a *app) progress(what string, total func() (int64, error), say func(done int64)) (at func(done int64), end func(), err error) {
	if terminal.Is(a.stderr) {
		n, err := total()
		if err != nil {
			return nil, nil, err
		}
		bar := terminal.NewBar(a.stderr, n, what)
		return bar.At, bar.End, nil
	}
	next := time.Now().Add(time.Minute)
	return func(done int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(time.Minute)
			say(done)
		}
	}, func() {}, nil
}
