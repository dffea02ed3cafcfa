package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// listLimit is how many sessions a page shows.
const listLimit = 25

type searchPage struct {
	Query string
	// Session is the one with that id.
	Session  *sessionstore.Session
	Subjects []string
	// Sessions are those with an address or a label.
	Sessions []sessionstore.Session
	By       string
	Older    string
	Nothing  bool
}

// search itself detects what the operator is looking
// for.
func (c *Console) search(w http.ResponseWriter, r *http.Request, _ operator) error {
	query := strings.TrimSpace(r.URL.Query().Get("q"))
	page := searchPage{Query: query}
	if query == "" {
		return c.render(w, r, http.StatusOK, "search", "Sessions", page)
	}
	if err := c.find(r.Context(), &page, r.URL.Query().Get("cursor")); err != nil {
		return err
	}
	page.Nothing = page.Session == nil && len(page.Subjects) == 0 && len(page.Sessions) == 0 && page.Older == ""
	return c.render(w, r, http.StatusOK, "search", query, page)
}

func (c *Console) find(ctx context.Context, page *searchPage, cursor string) (err error) {
	if id, err := uuid.Parse(page.Query); err == nil {
		switch history, err := c.cfg.Sessions.History(ctx, id); {
		case err == nil:
			page.Session = &history.Session
		case !errors.Is(err, sessionstore.ErrNotFound):
			return err
		}
	}
	if page.Subjects, err = c.cfg.Sessions.Subjects(ctx, page.Query); err != nil {
		return err
	}
	params := sessionstore.FindParams{Any: true, ListParams: sessionstore.ListParams{Cursor: cursor, Limit: listLimit}}
	page.By = "address"
	if params.Network, err = sessionstore.ParseNetwork(page.Query); err != nil {
		page.By, params.Label = "label", page.Query
	}
	found, err := c.cfg.Sessions.Find(ctx, params)
	if err != nil {
		if argument, ok := errors.AsType[*sessionstore.ArgumentError](err); ok && params.Label != "" && argument.Field == "label" {
			return nil // it is too long for a label, and may be a subject
		}
		return err
	}
	page.Sessions = found.Sessions
	if found.NextCursor != "" {
		page.Older = root + "/?" + url.Values{"q": {page.Query}, "cursor": {found.NextCursor}}.Encode()
	}
	return nil
}
