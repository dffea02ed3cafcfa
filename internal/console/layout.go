package console

import (
	"embed"
	"time"
)

//go:embed pages/*.html
var pageFiles embed.FS

//go:embed static
var staticFiles embed.FS

// layout is what each page has.
type layout struct {
	Title     string
	Operator  string // empty before the sign-in
	Path      string
	FormToken string
	FormField string
	// KeysSince is when the oldest of today's signing keys was made, on pages with sessions.
	KeysSince time.Time
	Page      any
}
