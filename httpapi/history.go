package httpapi

import (
	"net/http"
	"time"

	"github.com/google/uuid"
)

type historyDocument struct {
	ID      uuid.UUID `json:"id"`
	Subject string    `json:"subject,omitzero"`
	contextDocument
	Created    happenedDocument     `json:"created"`
	Replaces   *predecessorDocument `json:"replaces,omitempty"`
	Updated    happenedDocument     `json:"updated,omitzero"`
	Superseded happenedDocument     `json:"superseded,omitzero"`
	Refreshed  refreshedDocument    `json:"refreshed"`
	ExpiresAt  time.Time            `json:"expires_at"`
	Ended      endedDocument        `json:"ended,omitzero"`
}

// predecessorDocument is the session whose place it took.
type predecessorDocument struct {
	ID      uuid.UUID `json:"id"`
	Subject string    `json:"subject,omitzero"`
}

// happenedDocument is when something happened, and what was known about the
// client.
type happenedDocument struct {
	At     time.Time      `json:"at"`
	Client clientDocument `json:"client,omitzero"`
}

// refreshedDocument has the number of refreshes, and the last one.
type refreshedDocument struct {
	Times  int64          `json:"times"`
	At     time.Time      `json:"at,omitzero"`
	Client clientDocument `json:"client,omitzero"`
}

func (s *Server) getHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	h, err := s.store.History(r.Context(), id)
	if err != nil {
		return err
	}
	document := historyDocument{
		ID: h.Session.ID, Subject: h.Session.Subject, contextDocument: contextDocumentOf(h.Session.Context),
		Created:    happenedDocument{At: h.Session.CreatedAt.UTC(), Client: clientDocumentOf(h.Session.Client)},
		Replaces:   (*predecessorDocument)(h.Replaces),
		Superseded: happenedDocument{At: utc(h.SupersededAt)},
		Refreshed:  refreshedDocument{Times: h.Refreshes, At: utc(h.Session.RefreshedAt), Client: clientDocumentOf(h.Session.LastClient)},
		ExpiresAt:  h.Session.ExpiresAt.UTC(),
		Ended:      endedDocumentOf(h.Session.Ended),
	}
	if h.Session.UpdatedAt.After(h.Session.CreatedAt) {
		document.Updated.At = h.Session.UpdatedAt.UTC()
	}
	return writeJSON(w, http.StatusOK, document)
}
