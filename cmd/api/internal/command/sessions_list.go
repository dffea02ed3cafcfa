package command

import (
	"cmp"
	"fmt"
	"text/tabwriter"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type sessionsListCmd struct {
	settings.Database
	settings.Log

	Subject string `required:"" placeholder:"ID" help:"Whose sessions."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// Run prints a line for each live session, without its data.
func (c *sessionsListCmd) Run(a *app) error {
	return withStore(a.ctx, c.Database, c.NewLogger(a.stderr), func(store *sessionstore.Store) error {
		var sessions []sessionstore.Session
		for cursor, more := "", true; more; more = cursor != "" {
			page, err := store.List(a.ctx, c.Subject, sessionstore.ListParams{Cursor: cursor})
			if err != nil {
				return err
			}
			sessions, cursor = append(sessions, page.Sessions...), page.NextCursor
		}
		if c.JSON {
			return a.printJSON(sessionsJSON(sessions))
		}
		return a.printSessions(sessions)
	})
}

func (a *app) printSessions(sessions []sessionstore.Session) error {
	if len(sessions) == 0 {
		_, err := fmt.Fprintln(a.stderr, "no live sessions")
		return err
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "SESSION\tCREATED\tREFRESHED\tEXPIRES\tCLIENT")
	for _, s := range sessions {
		client := cmp.Or(s.Client.Label, s.Client.UserAgent, s.Client.IP, "-")
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", s.ID, formatTime(s.CreatedAt),
			cmp.Or(formatTime(s.RefreshedAt), "never"), formatTime(s.ExpiresAt), terminal.Harmless(client))
	}
	return table.Flush()
}

// sessionsJSON has the members that the HTTP API gives a listed session.
func sessionsJSON(sessions []sessionstore.Session) any {
	type client struct {
		Label     string `json:"label,omitempty"`
		UserAgent string `json:"user_agent,omitempty"`
		IP        string `json:"ip,omitempty"`
	}
	type session struct {
		ID          string `json:"id"`
		Subject     string `json:"subject"`
		Client      client `json:"client"`
		CreatedAt   string `json:"created_at"`
		UpdatedAt   string `json:"updated_at"`
		RefreshedAt string `json:"refreshed_at,omitempty"`
		ExpiresAt   string `json:"expires_at"`
	}
	out := make([]session, len(sessions))
	for i, s := range sessions {
		out[i] = session{
			ID: s.ID.String(), Subject: s.Subject, Client: client(s.Client),
			CreatedAt: formatTime(s.CreatedAt), UpdatedAt: formatTime(s.UpdatedAt),
			RefreshedAt: formatTime(s.RefreshedAt), ExpiresAt: formatTime(s.ExpiresAt),
		}
	}
	return map[string]any{"sessions": out}
}
