package command

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

type sessionsShowCmd struct {
	settings.Database
	settings.Log

	ID   uuid.UUID `arg:"" name:"id" help:"The session."`
	JSON bool      `name:"json" help:"Print JSON."`
}

// Help says how long it is known.
func (*sessionsShowCmd) Help() string {
	return "Shows the life of a session, without its data: where it was created, how its user authenticated, which session's place it took, when its access tokens were last superseded, " +
		"how often it was refreshed and from where last, and when, why and by whom it was ended. " +
		"This is available until cleanup removes the session, LATCHKEY_CLEANUP_RETENTION after its end."
}

// Run prints what is known.
func (c *sessionsShowCmd) Run(a *app) error {
	return withSessions(a.ctx, c.Database, c.NewLogger(a.stderr), func(store sessions) error {
		h, err := store.History(a.ctx, c.ID)
		if err != nil {
			return fmt.Errorf("session %s: %w", c.ID, err)
		}
		if c.JSON {
			return a.printJSON(struct {
				sessionJSON

				Refreshes    int64            `json:"refreshes"`
				SupersededAt time.Time        `json:"superseded_at,omitzero"`
				Replaces     *predecessorJSON `json:"replaces,omitempty"`
			}{sessionJSONOf(h.Session), h.Refreshes, seconds(h.SupersededAt), (*predecessorJSON)(h.Replaces)})
		}
		var thief string
		if h.Session.Ended.Reason == sessionstore.ReasonTheft {
			report, err := store.Theft(a.ctx, c.ID)
			if err != nil && !errors.Is(err, sessionstore.ErrNotFound) { // then it was cleaned up just now
				return fmt.Errorf("session %s: %w", c.ID, err)
			}
			if thief = from(report.PresentedBy); thief != "" {
				thief = "," + thief
			}
		}
		return a.printHistory(h, thief)
	})
}

// event is a line of a history.
type event struct {
	at   time.Time
	what string
}

// printHistory prints it. The thief is where a stolen token came from, if there was one and that is
// known.
func (a *app) printHistory(h sessionstore.History, thief string) error {
	s := h.Session
	events := []event{{s.CreatedAt, "created" + from(s.Client)}}
	if predecessor := h.Replaces; predecessor != nil {
		events[0].what += "; in place of session " + predecessor.ID.String()
		if predecessor.Subject != s.Subject {
			events[0].what += " of " + terminal.Harmless(cmp.Or(predecessor.Subject, "nobody"))
		}
	}
	if s.Authentication != nil {
		events[0].what += "; " + authenticated(*s.Authentication)
	}
	if s.Actor != nil {
		events[0].what += "; " + terminal.Harmless(s.Actor.Subject) + " acts for the subject"
	}
	if s.UpdatedAt.After(s.CreatedAt) {
		events = append(events, event{s.UpdatedAt, "data last changed"})
	}
	if !h.SupersededAt.IsZero() {
		events = append(events, event{h.SupersededAt, "claims last replaced, or lifetimes shortened, with immediate effect"})
	}
	if !s.RefreshedAt.IsZero() {
		events = append(events, event{s.RefreshedAt, fmt.Sprintf("last refreshed%s (%d %s in all)", from(s.LastClient), h.Refreshes, plural(h.Refreshes, "time"))})
	}
	if s.Ended.At.IsZero() {
		events = append(events, event{s.ExpiresAt, "expires, unless a refresh extends it"})
	} else {
		why := console.InWords(s.Ended)
		why = strings.ToLower(why[:1]) + why[1:] // it begins with one of our words
		events = append(events, event{s.Ended.At, terminal.Harmless(why) + thief + " [" + string(s.Ended.Reason) + "]"})
	}
	slices.SortStableFunc(events, func(x, y event) int { return x.at.Compare(y.at) })
	_, _ = fmt.Fprintf(a.stdout, "session %s of %s\n", s.ID, terminal.Harmless(cmp.Or(s.Subject, "nobody")))
	return printTable(a.stdout, nil, events, func(e event) []string { return []string{formatTime(e.at), e.what} })
}

// predecessorJSON is a session that another replaced.
type predecessorJSON struct {
	ID      uuid.UUID `json:"id"`
	Subject string    `json:"subject,omitempty"`
}

// authenticated says how and when a user authenticated, as far as that is known.
func authenticated(a tokens.Authentication) string {
	parts := []string{"authenticated"}
	if !a.AuthTime.IsZero() {
		parts = append(parts, formatTime(a.AuthTime))
	}
	if len(a.AMR) > 0 {
		parts = append(parts, "by "+strings.Join(a.AMR, ", "))
	}
	if a.ACR != "" {
		parts = append(parts, "at level "+a.ACR)
	}
	return terminal.Harmless(strings.Join(parts, " "))
}

// from is what is known about a client.
func from(c sessionstore.Client) string {
	known := slices.DeleteFunc([]string{c.IP, c.Label, c.UserAgent}, func(s string) bool { return s == "" })
	if len(known) == 0 {
		return ""
	}
	return " from " + terminal.Harmless(strings.Join(known, ", "))
}
