package httpapi

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// signedType is the media type of a signed answer to an introspection.
const signedType = "application/token-introspection+jwt"

// writeIntrospection answers as the caller wants it: as JSON (RFC 7662), or as a
// JWT that proves to others what was answered, and to whom (RFC 9701). Where no
// key with a public part signs, it is JSON in any case: RFC 9110 §12.5.1 leaves
// that to us, and who insists on the other form will not take this one for it.
func (s *Server) writeIntrospection(w http.ResponseWriter, r *http.Request, document any) error {
	if h := w.Header(); h["Vary"] == nil {
		h["Vary"] = byAccept
	} else {
		h.Add("Vary", "Accept")
	}
	if !accepts(r, signedType) {
		return writeJSON(w, http.StatusOK, document)
	}
	answer, err := json.Marshal(document)
	if err != nil {
		return err
	}
	jwt, err := s.store.SignIntrospection(infoOf(r).serviceKey, answer)
	if errors.Is(err, tokens.ErrNotPublic) {
		return writeJSON(w, http.StatusOK, document)
	}
	if err != nil {
		return err
	}
	writeBody(w, http.StatusOK, signedType, noStore, jwt)
	return nil
}

// accepts tells whether a request names the media type among those it accepts.
// No wildcard means it: a client that wants it has to name it.
func accepts(r *http.Request, want string) bool {
	for accepted := range strings.SplitSeq(strings.Join(r.Header["Accept"], ","), ",") {
		if essence, _, _ := strings.Cut(accepted, ";"); !strings.EqualFold(strings.TrimSpace(essence), want) {
			continue
		}
		if mediaType, parameters, err := mime.ParseMediaType(accepted); err == nil && mediaType == want && parameters["q"] != "0" {
			return true
		}
	}
	return false
}
