package httpapi

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// maxClaimsBytes leaves room for spaces and escapes, as [tokens.CustomClaims] does.
const maxClaimsBytes = 16 * tokens.MaxCustomBytes

// getSessionClaims gives the ETag that putSessionClaims requires. It covers only the
// claims, so writes of data do not change it.
func (s *Server) getSessionClaims(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	claims, checksum, err := s.store.LoadClaims(r.Context(), id)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etagOf(checksum))
	return writeJSON(w, http.StatusOK, jsontext.Value(cmp.Or(string(claims), "{}")))
}

// putSessionClaims replaces the claims that the caller has read, and only those.
func (s *Server) putSessionClaims(w http.ResponseWriter, r *http.Request) error {
	id, err := sessionID(r)
	if err != nil {
		return err
	}
	supersede := r.URL.Query().Get("supersede")
	if supersede != "" && supersede != "true" && supersede != "false" {
		return invalidParameter("supersede", "It must be true or false.")
	}
	checksum, err := ifMatch(r)
	if err != nil {
		return err
	}
	claims, err := decodeJSON[jsontext.Value](r, maxClaimsBytes)
	if err != nil {
		return err
	}
	next, err := s.store.SetClaims(r.Context(), id, checksum, claims, sessionstore.SetClaimsOptions{Supersede: supersede == "true"})
	if e, ok := errors.AsType[*sessionstore.ArgumentError](err); ok {
		return invalidMember(e.Member, sentence(e.Problem)) // the claims are the whole body
	}
	if e, ok := errors.AsType[*sessionstore.ConflictError](err); ok {
		return &problem{code: codeChecksumMismatch, etag: etagOf(e.Checksum), detail: "The claims are not those with this ETag. Read them again."}
	}
	if err != nil {
		return err
	}
	w.Header().Set("ETag", etagOf(next))
	return writeJSON(w, http.StatusOK, dataVersion{id, next})
}
