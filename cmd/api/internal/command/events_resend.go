package command

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/trail"
	"github.com/latchkey-sessions/latchkey/internal/events"
)

type eventsResendCmd struct {
	settings.Database
	settings.Log
	settings.Audit

	IDs      []int64 `arg:"" optional:"" name:"id" help:"Dead deliveries to send again."`
	All      bool    `help:"Send all dead deliveries again instead."`
	Endpoint string  `placeholder:"NAME" help:"With --all: only deliveries to this endpoint."`
}

// Help says what follows.
func (*eventsResendCmd) Help() string {
	return "Sends dead deliveries of events again, as if they were new: at once, and for about a day. The running service sends them. " +
		"Later events of the same session may have arrived before them."
}

// Validate requires one way of selecting deliveries.
func (c *eventsResendCmd) Validate() error {
	switch {
	case (len(c.IDs) > 0) == c.All:
		return errors.New("name the deliveries to send again by the ids that api events dead lists, or with --all")
	case c.Endpoint != "" && !c.All:
		return errors.New("--endpoint requires --all")
	}
	return nil
}

// Run resends them, and fails at the end if one that was named is not dead.
func (c *eventsResendCmd) Run(a *app) error {
	log := c.NewLogger(a.stderr)
	return byOperator(a, c.Audit, log, func(ctx context.Context, t trail.Trail) error {
		return withEvents(ctx, c.Database, log, func(queue events.Queue) error {
			n, err := queue.Resend(ctx, c.IDs, c.Endpoint)
			if n > 0 {
				t.Record(ctx, audit.Event{Name: audit.EventsSentAgain, Count: n, DeliveryIDs: c.IDs, Endpoint: c.Endpoint, All: c.All && c.Endpoint == ""})
			}
			if err != nil {
				return err
			}
			deliveries := "deliveries"
			if n == 1 {
				deliveries = "delivery"
			}
			if _, err := fmt.Fprintf(a.stdout, "sent %d %s again\n", n, deliveries); err != nil {
				return err
			}
			if missing := int64(len(c.IDs)) - n; missing > 0 {
				return fmt.Errorf("%d of %d are not dead deliveries", missing, len(c.IDs))
			}
			return nil
		})
	})
}
