package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/latchkey-sessions/latchkey/internal/isolation"
)

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
