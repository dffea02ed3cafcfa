package command

import (
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
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

// Validate wants to list something.
func (c *eventsDeadCmd) Validate() error {
	if c.Limit < 1 {
		return errors.New("--limit must be 1 or more")
	}
	return nil
}

// Run prints a line for each delivery.
func (c *eventsDeadCmd) Run(a *app) error {
	return database.WithSchema(a.ctx, c.Database, c.NewLogger(a.stderr), func(pool *pgxpool.Pool) error {
		dead, err := events.NewQueue(pool).Dead(a.ctx, events.DeadParams{Endpoint: c.Endpoint}, c.Limit+1)
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
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "ID\tENDPOINT\tTYPE\tSESSION\tAT\tDEAD\tERROR") // Flush has its error
	for _, d := range dead {
		_, _ = fmt.Fprintln(table, strconv.FormatInt(d.ID, 10)+"\t"+terminal.Harmless(d.Endpoint)+"\t"+string(d.Type)+"\t"+d.Session.String()+"\t"+
			formatTime(d.At)+"\t"+formatTime(d.DeadAt)+"\t"+terminal.Harmless(d.Error))
	}
	return table.Flush()
}
