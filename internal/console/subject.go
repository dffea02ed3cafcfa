package console

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type subjectPage struct {
	Subject string
	// Sessions are live ones and ended ones, the newest first.
	Sessions []sessionstore.Session
	// Devices are those of the live ones.
	Devices []string
	Live    int
	// IsWhole reports whether these are all.
	IsWhole      bool
	First, Older string
	Axis         axis
	Flash        flash
	Next         string
}

func (c *Console) subject(w http.ResponseWriter, r *http.Request, _ operator) error {
	query := r.URL.Query()
	page := subjectPage{Subject: query.Get("id"), Flash: flashOf(query), Next: subjectPath(query.Get("id"))}
	if page.Subject == "" {
		return sessionstore.ErrNotFound
	}
	cursor := query.Get("cursor")
	found, err := c.cfg.Sessions.Find(r.Context(), sessionstore.FindParams{
		Subject: page.Subject, Any: true, ListParams: sessionstore.ListParams{Cursor: cursor, Limit: listLimit},
	})
	if err != nil {
		return err
	}
	page.Sessions, page.IsWhole = found.Sessions, cursor == "" && found.NextCursor == ""
	if found.NextCursor != "" {
		page.Older = page.Next + "&" + url.Values{"cursor": {found.NextCursor}}.Encode()
	}
	if cursor != "" {
		page.First = page.Next
	}
	for _, s := range page.Sessions {
		if !s.Ended.At.IsZero() {
			continue
		}
		page.Live++
		if name := deviceOf(s); !slices.Contains(page.Devices, name) {
			page.Devices = append(page.Devices, name)
		}
	}
	page.Axis = newAxis(page.Sessions, c.now())
	return c.render(w, r, http.StatusOK, "subject", page.Subject, page)
}

func subjectPath(subject string) string {
	return root + "/subject?" + url.Values{"id": {subject}}.Encode()
}

func endSubjectPath(subject string) string {
	return root + "/subject/end?" + url.Values{"id": {subject}}.Encode()
}

// axis is the time line of a page: from when its first session began until now.
type axis struct{ From, To time.Time }

const axisWidth = 1000

func newAxis(sessions []sessionstore.Session, now time.Time) axis {
	a := axis{From: now, To: now}
	for _, s := range sessions {
		if s.CreatedAt.Before(a.From) {
			a.From = s.CreatedAt
		}
	}
	return a
}

// at is where a time is.
func (a axis) at(t time.Time) int {
	whole := a.To.Sub(a.From)
	if whole <= 0 {
		return 0
	}
	return int(min(max(0, float64(t.Sub(a.From))/float64(whole)), 1) * axisWidth)
}

// bar is a session's lifetime on the time line.
type bar struct{ X, Width int }

// Bar returns the session's bar, which is never too thin to be seen.
func (a axis) Bar(s sessionstore.Session) bar {
	const thinnest = 6
	end := axisWidth
	if !s.Ended.At.IsZero() {
		end = a.at(s.Ended.At)
	}
	x := min(a.at(s.CreatedAt), axisWidth-thinnest)
	return bar{x, max(end-x, thinnest)}
}
