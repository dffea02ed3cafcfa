package main

import (
	"io"
	"log/slog"
)

// newLogger returns the service's logger. It writes to standard error: standard output is for what a command prints.
func (s logSettings) newLogger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: slog.Level(s.LogLevel)}
	if s.LogFormat == "text" || s.LogFormat == "" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
