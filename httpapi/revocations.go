package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/latchkey-sessions/latchkey/verifier"
)

// maxRevocationWait is how long an answer may wait for a revocation, in seconds.
const maxRevocationWait = 30

// getRevocations passes on which sessions were revoked: as one document or, if
// the caller accepts events, as a stream of them.
func (s *Server) getRevocations(w http.ResponseWriter, r *http.Request) error {
	if s.cfg.Verifier == nil {
		return &problem{code: codeUnavailable, cause: errNoVerifier}
	}
	feed, err := s.shardFeed(r)
	if err != nil {
		return err
	}
	arrived := feed.Now()
	wait, err := revocationWait(r)
	if err != nil {
		return err
	}
	since := r.URL.Query().Get("since")
	if wantsEvents(r) {
		if last := r.Header.Get("Last-Event-ID"); last != "" {
			since = last // it is how far an EventSource has got meanwhile
		}
		return s.streamRevocations(w, r, feed, arrived, since)
	}
	event, err := s.pollRevocations(r.Context(), feed.Feed, since, wait)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, feed.document(event, arrived))
}

func revocationWait(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 8)
	if err != nil || seconds > maxRevocationWait {
		return 0, invalidParameter("wait", "It must be a number of seconds up to "+strconv.Itoa(maxRevocationWait)+".")
	}
	return time.Duration(seconds) * time.Second, nil
}

func wantsEvents(r *http.Request) bool { return accepts(r, eventStreamType) }

// pollRevocations returns the next event or, if the caller wants to wait, the next
// one that is not empty.
func (s *Server) pollRevocations(ctx context.Context, feed *verifier.Feed, since string, wait time.Duration) (verifier.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+s.cfg.RequestTimeout)
	defer cancel()
	for enough := time.Now().Add(wait); ; {
		event, err := nextRevocations(ctx, feed, since)
		if err != nil || len(event.Sessions) > 0 || event.Reset || event.More || !time.Now().Before(enough) {
			return event, err
		}
		since = event.Cursor
	}
}
