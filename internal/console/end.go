package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// flash is the result of an action, for the page that follows.
type flash struct {
	IsThere bool
	Ended   int
	// More says that time ran out before all had ended.
	More bool
}

func flashOf(query url.Values) flash {
	n, err := strconv.Atoi(query.Get("ended"))
	return flash{IsThere: err == nil && n >= 0, Ended: n, More: query.Has("more")}
}

func (c *Console) endSession(w http.ResponseWriter, r *http.Request, o operator) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	if err := c.cfg.Sessions.Invalidate(r.Context(), id, o.cause()); err != nil {
		return err
	}
	ended(w, r, 1, false)
	return nil
}

// endSubject ends the sessions of a subject, except one to keep. For hundreds of thousands
// that takes longer than a request may: those that have ended stay ended, and another request
// continues.
func (c *Console) endSubject(w http.ResponseWriter, r *http.Request, o operator) error {
	keep := uuid.Nil
	if text := r.PostFormValue("keep"); text != "" {
		var err error
		if keep, err = uuid.Parse(text); err != nil {
			return sessionstore.ErrNotFound
		}
	}
	n, err := c.cfg.Sessions.InvalidateSubject(r.Context(), r.URL.Query().Get("id"), keep, o.cause())
	isPart := n > 0 && errors.Is(err, sessionstore.ErrUnavailable)
	if err != nil && !isPart {
		return err
	}
	ended(w, r, n, isPart)
	return nil
}

// ended redirects to the form's page, so that reloading the page does not resend the form.
func ended(w http.ResponseWriter, r *http.Request, n int64, more bool) {
	values := url.Values{"ended": {strconv.FormatInt(n, 10)}}
	if more {
		values.Set("more", "1")
	}
	next, mark := ownPath(r.PostFormValue("next")), "?"
	if strings.Contains(next, "?") {
		mark = "&"
	}
	redirect(w, r, next+mark+values.Encode())
}
