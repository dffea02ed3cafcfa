package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type sessionPage struct {
	sessionstore.History

	// Changes are what happened between its creation and its end.
	Changes []change
	Claims  string
	// Data is empty if it is not shown, and DataNote says why.
	Data, DataNote string
	IsTheft        bool
	Flash          flash
	Next           string
}

// change is something that happened to a session, of which the last time is known.
type change struct {
	What string
	At   time.Time
}

// The kinds of changes, as the page calls them.
const (
	changeData       = "data"
	changeSuperseded = "superseded"
	changeRefreshed  = "refreshed"
)

// changesOf are in the order in which they happened.
func changesOf(h sessionstore.History) []change {
	changes := []change{{changeData, h.Session.UpdatedAt}, {changeSuperseded, h.SupersededAt}, {changeRefreshed, h.Session.RefreshedAt}}
	changes = slices.DeleteFunc(changes, func(c change) bool { return !c.At.After(h.Session.CreatedAt) })
	slices.SortStableFunc(changes, func(x, y change) int { return x.At.Compare(y.At) })
	return changes
}

func (c *Console) session(w http.ResponseWriter, r *http.Request, o operator) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	page := sessionPage{Flash: flashOf(r.URL.Query()), Next: sessionPath(id)}
	if page.History, err = c.cfg.Sessions.History(r.Context(), id); err != nil {
		return err
	}
	claims, _, err := c.cfg.Sessions.LoadClaims(r.Context(), id)
	if err != nil && !errors.Is(err, sessionstore.ErrNotFound) { // one of Compas has none yet
		return err
	}
	page.Changes = changesOf(page.History)
	page.Claims, page.IsTheft = indented(claims), page.Session.Ended.Reason == sessionstore.ReasonTheft
	if page.Data, page.DataNote, err = c.dataOf(r, o, id); err != nil {
		return err
	}
	return c.render(w, r, http.StatusOK, "session", "Session "+id.String(), page)
}

// dataOf returns the data for operators who may see it.
func (c *Console) dataOf(r *http.Request, o operator, id uuid.UUID) (data, note string, err error) {
	if !o.ReadsData {
		return "", "It is for operators who signed in with a key that has the right “read-data” too.", nil
	}
	session, err := c.cfg.Sessions.Load(r.Context(), id)
	if _, isSealed := errors.AsType[*sessionstore.SealedError](err); isSealed {
		return "", "It is sealed with a key that this replica does not have.", nil
	}
	return indented(session.Data), "", err
}

// indented is JSON for people, with its numbers as written.
func indented(text []byte) string {
	var out bytes.Buffer
	if len(text) == 0 || json.Indent(&out, text, "", "  ") != nil {
		return string(text)
	}
	return out.String()
}
