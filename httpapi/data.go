package httpapi

import (
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type dataVersion struct {
	ID       uuid.UUID `json:"id"`
	Checksum string    `json:"checksum"`
}

// putSessionData replaces the data only if it is what the caller has read.
func (s *Server) putSessionData(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	checksum, err := ifMatch(r)
	if err != nil {
		return err
	}
	data, err := decodeJSON[jsontext.Value](r, sessionstore.MaxDataBytes)
	if err != nil {
		return err
	}
	next, err := s.store.Update(r.Context(), id, checksum, data)
	if e, ok := errors.AsType[*sessionstore.ArgumentError](err); ok {
		return invalidMember("", sentence(e.Problem)) // the data is the whole body
	}
	if err == nil && next == checksum {
		err = s.store.CheckVersion(r.Context(), id, checksum) // nothing was written, nor looked at
	}
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etagOf(next))
	return writeJSON(w, http.StatusOK, dataVersion{id, next})
}
