package console

import (
	"net/http"
	"net/url"
	"slices"

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
