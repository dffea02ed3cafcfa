package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	eventStreamType = "text/event-stream"
	// streamLifetime is how long a stream lasts before a reader must reconnect:
	// until then the two clocks on which a proof relies drift apart by at most about
	// 30 ms.
	streamLifetime = 5 * time.Minute
	// streamPatience is how long a reader may take to read an event.
	streamPatience = 10 * time.Second
)

// streamRevocations sends the feed as server-sent events, until its time is over,
// the caller goes away, is too slow or loses its key, or the server shuts down.
// A reader then reconnects with the last event's id.
func (s *Server) streamRevocations(w http.ResponseWriter, r *http.Request, feed shardFeed, arrived verifier.Moment, since string) error {
	ctx, cancel := context.WithTimeout(r.Context(), s.streamLifetime)
	defer cancel()
	defer s.streams.endWith(r, cancel)()

	event, err := nextRevocations(ctx, feed.Feed, since)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", eventStreamType)
	h.Set("Cache-Control", noStore)
	h.Set("X-Accel-Buffering", "no") // a proxy that buffers events makes them worthless
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return nil
	}
	for control := http.NewResponseController(w); err == nil; event, err = nextRevocations(ctx, feed.Feed, event.Cursor) {
		if !s.stillMay(r, RightRevocations) {
			break // events are sent even when there is no news
		}
		if err := s.sendEvent(w, control, feed.document(event, arrived)); err != nil {
			break // the caller is gone, or too slow
		}
	}
	return nil
}

func (s *Server) sendEvent(w http.ResponseWriter, control *http.ResponseController, d revocationsDocument) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	// The server's own limits are for answers that end.
	if err := control.SetWriteDeadline(time.Now().Add(s.streamPatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	message := append(append(append([]byte("id: "), d.Cursor...), "\ndata: "...), text...)
	if _, err := w.Write(append(message, "\n\n"...)); err != nil { //nolint:gosec // G705: it is not HTML
		return err
	}
	return control.Flush()
}
