package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	defaultDeadEvents = 50
	maxDeadEvents     = 200
	// maxResent is how many ids a request may name.
	maxResent = 1000
	// maxResendBytes is enough for maxResent ids.
	maxResendBytes = 32 << 10
	// maxEndpointName is in bytes.
	maxEndpointName = 64
	noEndpointName  = "It must be a name of 1 to 64 bytes without control characters. Leave it out for all."
)

type deadEventsPage struct {
	Deliveries []DeadEvent `json:"deliveries"`
	NextCursor string      `json:"next_cursor,omitzero"`
}

func (s *Server) listDeadEvents(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.DeadEvents == nil {
		return &problem{code: codeRouteNotFound}
	}
	params, err := listParams(r)
	if err != nil {
		return err
	}
	endpoint := r.URL.Query().Get("endpoint")
	if r.URL.Query().Has("endpoint") && !isEndpointName(endpoint) {
		return invalidParameter("endpoint", noEndpointName)
	}
	var before int64
	if r.URL.Query().Has("cursor") {
		if before, err = strconv.ParseInt(params.Cursor, 10, 64); err != nil || before < 1 {
			return invalidParameter("cursor", "It is not one that this list gave.")
		}
	}
	limit := defaultDeadEvents
	if params.Limit > maxDeadEvents {
		return invalidParameter("limit", "It must be a whole number up to "+strconv.Itoa(maxDeadEvents)+".")
	} else if params.Limit > 0 {
		limit = params.Limit
	}
	deliveries, err := s.cfg.DeadEvents.Dead(r.Context(), endpoint, before, limit+1)
	if err != nil {
		return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	}
	page := deadEventsPage{Deliveries: deliveries}
	if len(deliveries) > limit {
		page.Deliveries = deliveries[:limit]
		page.NextCursor = strconv.FormatInt(deliveries[limit-1].ID, 10)
	}
	return writeJSON(w, http.StatusOK, page)
}

// resend says which dead deliveries to retry. A missing member does not restrict
// them.
type resend struct {
	IDs      []int64 `json:"ids"`
	Endpoint *string `json:"endpoint"`
}

type resentDocument struct {
	Resent int64 `json:"resent"`
}

func (s *Server) resendDeadEvents(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.DeadEvents == nil {
		return &problem{code: codeRouteNotFound}
	}
	wanted, err := decodeJSON[resend](r, maxResendBytes)
	switch {
	case err != nil:
		return err
	case wanted.IDs != nil && (len(wanted.IDs) == 0 || len(wanted.IDs) > maxResent):
		return invalidMember("/ids", "It must have 1 to "+strconv.Itoa(maxResent)+" ids. Leave it out for all.")
	case wanted.Endpoint != nil && !isEndpointName(*wanted.Endpoint):
		return invalidMember("/endpoint", noEndpointName)
	}
	var endpoint string
	if wanted.Endpoint != nil {
		endpoint = *wanted.Endpoint
	}
	n, err := s.cfg.DeadEvents.Resend(r.Context(), wanted.IDs, endpoint)
	if err != nil {
		return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	}
	return writeJSON(w, http.StatusOK, resentDocument{n})
}

func isEndpointName(text string) bool {
	return text != "" && len(text) <= maxEndpointName && utf8.ValidString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}
