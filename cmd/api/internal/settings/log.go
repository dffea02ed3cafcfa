package settings

import (
	"io"
	"log/slog"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
)

// NewLogger returns the service's logger. It writes to standard error: standard output is for what a command prints.
func (s Log) NewLogger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(s.LogLevel)}
	if s.LogFormat == "text" || s.LogFormat == "" && terminal.Is(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
