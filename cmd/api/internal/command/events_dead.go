package command

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
	"github.com/latchkey-sessions/latchkey/internal/events"
)

type eventsDeadCmd struct {
	settings.Database
	settings.Log

	Endpoint string `placeholder:"NAME" help:"Only deliveries to this endpoint."`
	Limit    int    `placeholder:"N" default:"1000" help:"List at most this many."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Help says what is in the list.
func (*eventsDeadCmd) Help() string {
	return "Lists the deliveries of events that failed for about a day and are not tried again, the newest first, each with the outcome of its last attempt. " +
		"They are kept for 14 days. api events resend sends them again."
}

// Validate requires a positive limit.
func (c *eventsDeadCmd) Validate() error {
	if c.Limit < 1 {
		return errors.New("--limit must be 1 or more")
	}
	return nil
}

// Run prints a line for each delivery.
func (c *eventsDeadCmd) Run(a *app) error {
	return withEvents(a.ctx, c.Database, c.NewLogger(a.stderr), func(queue events.Queue) error {
		dead, err := queue.Dead(a.ctx, events.DeadParams{Endpoint: c.Endpoint}, c.Limit+1)
		if err != nil {
			return err
		}
		more := len(dead) > c.Limit
		if more {
			dead = dead[:c.Limit]
		}
		if err := c.print(a, dead); err != nil || !more {
			return err
		}
		_, err = fmt.Fprintf(a.stderr, "there are more than these %d: --limit lists more\n", len(dead))
		return err
	})
}

func (c *eventsDeadCmd) print(a *app, dead []events.Dead) error {
	if c.JSON {
		for i := range dead {
			dead[i].At, dead[i].DeadAt = seconds(dead[i].At), seconds(dead[i].DeadAt)
		}
		return a.printJSON(map[string]any{"deliveries": dead})
	}
	if len(dead) == 0 {
		_, err := fmt.Fprintln(a.stderr, "no dead deliveries")
		return err
	}
	return printTable(a.stdout, []string{"ID", "ENDPOINT", "TYPE", "SESSION", "AT", "DEAD", "ERROR"}, dead, func(d events.Dead) []string {
		return []string{
			strconv.FormatInt(d.ID, 10), terminal.Harmless(d.Endpoint), string(d.Type), d.Session.String(), formatTime(d.At), formatTime(d.DeadAt), terminal.Harmless(d.Error),
		}
	})
}
