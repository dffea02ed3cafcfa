package httpapi

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// signedType is the media type of a signed introspection response.
const signedType = "application/token-introspection+jwt"

// writeIntrospection answers in the form that the caller requests: as JSON (RFC
// 7662), or as a JWT that proves to others what was answered, and to whom (RFC
// 9701). If the signing key has no public part, it is always JSON: RFC 9110
// §12.5.1 allows that, and a caller that insists on the other form will not
// mistake this one for it.
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

// accepts reports whether a request names the media type among those it accepts.
// Wildcards do not count: a client that wants a JWT must name it.
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
