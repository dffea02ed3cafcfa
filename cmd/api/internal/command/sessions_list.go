package command

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type sessionsListCmd struct {
	settings.Database
	settings.Log

	Subject string `placeholder:"ID" help:"User whose sessions are listed. By default those of all users."`
	Ended   bool   `help:"List sessions that have ended, instead of live ones."`
	Since   since  `placeholder:"TIME" help:"Only sessions that ended since then: a duration ago, such as 24h, or a time, such as 2026-06-20T09:00:00Z. Requires --ended."`
	Address string `placeholder:"IP" help:"Only sessions that were created or last refreshed from this address or network, such as 203.0.113.0/24."`
	Label   string `placeholder:"TEXT" help:"Only sessions whose client has this label."`
	Limit   int    `placeholder:"N" default:"1000" help:"List at most this many."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// listPage is how many sessions one query reads.
const listPage = 200

// Help says what is in the lists.
func (*sessionsListCmd) Help() string {
	return "Lists live sessions, the newest first, or with --ended the ended sessions that cleanup has not removed, with when, why and by whom they were ended. " +
		"Without --subject, ended sessions are listed in the order in which they were ended, the last first, without those that expired; with it, expired ones are included."
}

// Validate checks which flags go together.
func (c *sessionsListCmd) Validate() error {
	switch {
	case !c.Since.IsZero() && !c.Ended:
		return errors.New("--since requires --ended")
	case c.Limit < 1:
		return errors.New("--limit must be 1 or more")
	}
	return nil
}

// Run prints a line for each session, without its data.
func (c *sessionsListCmd) Run(a *app) error {
	params := sessionstore.FindParams{Subject: c.Subject, Ended: c.Ended, Since: c.Since.Time, Label: c.Label}
	if c.Address != "" {
		var err error
		if params.Network, err = sessionstore.ParseNetwork(c.Address); err != nil {
			return err
		}
	}
	return withSessions(a.ctx, c.Database, c.NewLogger(a.stderr), func(store sessions) error {
		found := []sessionstore.Session{}
		for more := true; more; more = params.Cursor != "" && len(found) < c.Limit {
			params.Limit = min(listPage, c.Limit-len(found))
			page, err := store.Find(a.ctx, params)
			if err != nil {
				return err
			}
			found, params.Cursor = append(found, page.Sessions...), page.NextCursor
		}
		if err := c.print(a, found); err != nil || params.Cursor == "" {
			return err
		}
		_, err := fmt.Fprintf(a.stderr, "there may be more than these %d: --limit lists more\n", len(found))
		return err
	})
}

func (c *sessionsListCmd) print(a *app, sessions []sessionstore.Session) error {
	if c.JSON {
		documents := make([]sessionJSON, len(sessions))
		for i, s := range sessions {
			documents[i] = sessionJSONOf(s)
		}
		return a.printJSON(map[string]any{"sessions": documents})
	}
	if len(sessions) == 0 {
		_, err := fmt.Fprintf(a.stderr, "no %s sessions\n", map[bool]string{false: "live", true: "ended"}[c.Ended])
		return err
	}
	return printTable(a.stdout, c.cells("SESSION", "SUBJECT", "CREATED", "REFRESHED", "EXPIRES", "ENDED", "REASON", "BY", "CLIENT"), sessions, func(s sessionstore.Session) []string {
		return c.cells(s.ID.String(), short(cmp.Or(s.Subject, "-")), formatTime(s.CreatedAt), cmp.Or(formatTime(s.RefreshedAt), "never"), formatTime(s.ExpiresAt),
			formatTime(s.Ended.At), string(s.Ended.Reason), short(cmp.Or(s.Ended.By, "-")),
			terminal.Harmless(cmp.Or(s.Client.Label, s.Client.UserAgent, s.Client.IP, "-")))
	})
}

// short shortens text for a column other than the last: one long subject must not widen the whole table. JSON has it
// in full.
func short(text string) string {
	const longest = 64
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest-1]) + "…"
	}
	return terminal.Harmless(text)
}

// cells omits what is the same for the whole list.
func (c *sessionsListCmd) cells(id, subject, created, refreshed, expires, ended, reason, by, client string) []string {
	cells := []string{id}
	if c.Subject == "" {
		cells = append(cells, subject)
	}
	cells = append(cells, created, refreshed)
	if c.Ended {
		cells = append(cells, ended, reason, by)
	} else {
		cells = append(cells, expires)
	}
	return append(cells, client)
}

// since is a time, which may be given as a duration before now.
type since struct{ time.Time }

// UnmarshalText reads a duration or a time.
func (s *since) UnmarshalText(text []byte) (err error) {
	if ago, err := time.ParseDuration(string(text)); err == nil {
		s.Time = time.Now().Add(-ago)
		return nil
	}
	if s.Time, err = time.Parse(time.RFC3339, string(text)); err != nil {
		return errors.New("it must be a duration, such as 24h, or a time, such as 2026-06-20T09:00:00Z")
	}
	return nil
}
