package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// sent is what was resent, for the page that follows.
type sent struct {
	Job    bool
	Events int64
	// Nothing was left to send: another operator was faster.
	Nothing bool
}

func sentOf(query url.Values) sent {
	n, _ := strconv.ParseInt(query.Get("events"), 10, 64) // zero is none
	return sent{query.Has("sent"), n, query.Has("nothing")}
}

// sendAgain retries a job that was given up.
func (c *Console) sendAgain(w http.ResponseWriter, r *http.Request, _ operator) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || c.cfg.Service.Jobs == nil {
		return sessionstore.ErrNotFound
	}
	switch err := c.cfg.Service.Jobs.SendAgain(r.Context(), id); {
	case errors.Is(err, jobs.ErrNotDead):
		redirect(w, r, root+"/now?nothing")
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	}
	if c.cfg.Audit != nil {
		c.cfg.Audit(r.Context(), audit.Event{Name: audit.JobSentAgain, JobID: id})
	}
	redirect(w, r, root+"/now?sent")
	return nil
}

// resendEvent retries one delivery of an event that was given up.
func (c *Console) resendEvent(w http.ResponseWriter, r *http.Request, _ operator) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return sessionstore.ErrNotFound
	}
	return c.resend(w, r, []int64{id})
}

// resendEvents retries all of them.
func (c *Console) resendEvents(w http.ResponseWriter, r *http.Request, _ operator) error {
	return c.resend(w, r, nil)
}

func (c *Console) resend(w http.ResponseWriter, r *http.Request, ids []int64) error {
	if c.cfg.Service.Events == nil {
		return sessionstore.ErrNotFound
	}
	n, err := c.cfg.Service.Events.Resend(r.Context(), ids, "")
	if n > 0 && c.cfg.Audit != nil {
		c.cfg.Audit(r.Context(), audit.Event{Name: audit.EventsSentAgain, Count: n, DeliveryIDs: ids, All: ids == nil})
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	case n == 0:
		redirect(w, r, root+"/now?nothing")
		return nil
	}
	redirect(w, r, root+"/now?events="+strconv.FormatInt(n, 10))
	return nil
}
