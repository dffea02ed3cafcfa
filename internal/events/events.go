// Package events notifies other systems of sessions' events: that one was created, that
// its claims changed, that it ended and why.
//
// It promises that it costs requests nothing, that each event is delivered at least once
// to each endpoint that subscribes to it, whatever happens to the process, and that the
// events of one session arrive in order. No endpoint waits for another one.
//
// Events are derived: one replica at a time reads what has changed since a stored position,
// and writes a row for each delivery in the transaction that moves the position. Any replica
// delivers what is due.
package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Type is a kind of event.
type Type string

// The types of events.
const (
	// TypeCreated: a session was created. Its member replaces names the session that it
	// replaced, if any.
	TypeCreated Type = "session.created"
	// TypeClaimsChanged: the access tokens of a session were superseded, because its claims
	// were replaced or its lifetimes shortened.
	TypeClaimsChanged Type = "session.claims_changed"
	// TypeEnded: a session was ended. Its members reason and by say why.
	TypeEnded Type = "session.ended"
)

// Format is the form of what is sent to an endpoint.
type Format string

// The formats.
const (
	// FormatWebhook is JSON, signed as Standard Webhooks specifies
	// (https://www.standardwebhooks.com).
	FormatWebhook Format = "webhook"
	// FormatSET is a Security Event Token (RFC 8417) with an event of CAEP, pushed as RFC 8935
	// says. Only some types have one: see [Format.Types].
	FormatSET Format = "set"
)

// Formats returns all formats.
func Formats() []Format { return []Format{FormatWebhook, FormatSET} }

// Types returns all types that a format can express.
func (f Format) Types() []Type {
	if f == FormatSET {
		return []Type{TypeCreated, TypeEnded}
	}
	return []Type{TypeCreated, TypeClaimsChanged, TypeEnded}
}

// Endpoint is a destination of events.
type Endpoint struct {
	// Name identifies it in deliveries, metrics and the log. Required.
	Name string
	// URL accepts a POST. Required. It may hold a password.
	URL tokens.Secret
	// Format is what is sent. Empty means [FormatWebhook].
	Format Format
	// Audience is the audience of Security Event Tokens. Required for [FormatSET].
	Audience string
	// Secret returns what webhooks are signed with: "whsec_" and 24 to 64 bytes in base64. For
	// Security Event Tokens it is the Authorization header's value, and nil means that there is
	// none. It is called for each delivery, because the secret may have been replaced.
	Secret func() (tokens.Secret, error)
	// Types are those that it subscribes to, out of those of its format. Nil means all of
	// these.
	Types []Type
	// Clients are the ids of the OAuth clients whose sessions it subscribes to. Nil
	// means all.
	Clients []string
}

// Observer counts deliveries, on this replica.
type Observer interface {
	// Attempted is called after an attempt to deliver. If it failed, err says why, and
	// dead that there will be no other.
	Attempted(endpoint string, err error, dead bool)
}

// nobody is an Observer that does nothing.
type nobody struct{}

func (nobody) Attempted(string, error, bool) {}

// Config says which events to send, and where.
type Config struct {
	// Pool leads to the sessions. Required.
	Pool *pgxpool.Pool
	// Endpoints may be empty: then nothing is sent, and [Runner.Run] does nothing.
	Endpoints []Endpoint
	// FirstClient is the OAuth client of sessions that name none.
	FirstClient string
	// Issuer is the subjects' issuer, and Sign signs for it. Both are required if an
	// endpoint takes Security Event Tokens.
	Issuer string
	Sign   func(tokens.SecurityEvent) ([]byte, error)
	// Logger records failures. Required.
	Logger *slog.Logger
	// Observer, if set, is notified of each attempt.
	Observer Observer
}

// Runner derives and delivers events. Make it with [New].
type Runner struct {
	db          isolation.Pool
	endpoints   []*endpoint
	wanted      []byte
	firstClient string
	log         *slog.Logger
	observer    Observer
	// most is how many events of a kind are derived in one transaction.
	most int
	// failing is how many of the repeated tasks are failing.
	failing atomic.Int32
}

// New returns a runner. It sends no query and starts no goroutine.
func New(cfg Config) (*Runner, error) {
	if cfg.Pool == nil || cfg.Logger == nil {
		return nil, errors.New("events: Pool and Logger are required")
	}
	cfg.Observer = cmp.Or[Observer](cfg.Observer, nobody{})
	r := &Runner{db: isolation.Pool{Pool: cfg.Pool}, firstClient: cfg.FirstClient, log: cfg.Logger, observer: cfg.Observer, most: derivedTogether}
	var names []string
	for _, e := range cfg.Endpoints {
		if err := cfg.check(e); err != nil {
			return nil, err
		}
		if slices.Contains(names, e.Name) {
			return nil, fmt.Errorf("events: two endpoints are named %q", e.Name)
		}
		names = append(names, e.Name)
		r.endpoints = append(r.endpoints, newEndpoint(e, cfg))
	}
	var err error
	if r.wanted, err = wantedBy(cfg.Endpoints); err != nil {
		return nil, fmt.Errorf("events: %w", err)
	}
	return r, nil
}

func (c Config) check(e Endpoint) error {
	switch {
	case e.Name == "" || e.URL == "":
		return errors.New("events: an endpoint needs a Name and a URL")
	case e.Format == FormatSET && (e.Audience == "" || c.Issuer == "" || c.Sign == nil):
		return errors.New("events: Security Event Tokens need the endpoint's Audience, an Issuer and Sign")
	case e.Format != FormatSET && e.Secret == nil:
		return errors.New("events: an endpoint for webhooks needs a Secret")
	}
	return nil
}

// Names returns those of the endpoints.
func (r *Runner) Names() []string {
	names := make([]string, len(r.endpoints))
	for i, e := range r.endpoints {
		names[i] = e.Name
	}
	return names
}

// Run derives and delivers until ctx ends. Deliveries in progress are then given back, so that another replica, or the
// next start, makes them at once.
func (r *Runner) Run(ctx context.Context) error {
	if len(r.endpoints) == 0 {
		return nil
	}
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { r.repeat(ctx, deriveInterval, nil, "deriving", r.deriveAll) })
	all.Go(func() { r.repeat(ctx, tidyInterval, nil, "removing old deliveries", r.tidy) })
	for _, e := range r.endpoints {
		all.Go(func() { r.deliver(ctx, e) })
	}
	return nil
}

// repeat runs a task periodically, and when it is woken; a failed task is retried soon. The failure is
// logged once, and so is the recovery, however many tasks fail at the same time: usually because of the
// database.
func (r *Runner) repeat(ctx context.Context, every time.Duration, woken <-chan struct{}, what string, do func(context.Context) error) {
	fails := false
	for {
		err := do(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !fails && r.failing.Add(1) == 1:
			r.log.WarnContext(ctx, "events wait", "what", what, "error", err)
		case err == nil && fails && r.failing.Add(-1) == 0:
			r.log.InfoContext(ctx, "events continue")
		}
		pause := every
		if fails = err != nil; fails {
			pause = min(every, lookInterval)
		}
		select {
		case <-time.After(pause):
		case <-woken:
		case <-ctx.Done():
			return
		}
	}
}
