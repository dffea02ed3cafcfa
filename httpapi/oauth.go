package httpapi

import (
	"net/http"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// refreshTokens is the token endpoint (RFC 6749 §6). Every client is a public
// one: a client_id is taken and ignored.
func (s *Server) refreshTokens(w http.ResponseWriter, r *http.Request) error {
	fields, err := decodeForm(w, r, "grant_type", "refresh_token", "client_id")
	if err != nil {
		return err
	}
	grantType, err := requiredField(fields, "grant_type")
	if err != nil {
		return err
	}
	if grantType != "refresh_token" {
		return &problem{code: codeUnsupportedGrantType}
	}
	token, err := requiredField(fields, "refresh_token")
	if err != nil {
		return err
	}
	refreshed, err := s.store.RefreshTokens(r.Context(), token, sessionstore.Client{UserAgent: r.UserAgent(), IP: clientAddr(r)})
	if err != nil {
		return refusedGrant(err)
	}
	infoOf(r).outcome = refreshed.Outcome.String()
	w.Header().Set("Pragma", "no-cache") // RFC 6749 §5.1
	return writeJSON(w, http.StatusOK, tokenDocumentOf(refreshed.Pair))
}

// revokeToken is RFC 7009. A token that is no good anyway is a success (§2.2).
func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	fields, err := decodeForm(w, r, "token", "token_type_hint", "client_id")
	if err != nil {
		return err
	}
	token, err := requiredField(fields, "token")
	if err != nil {
		return err
	}
	if err := s.store.RevokeToken(r.Context(), token); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", noStore)
	w.WriteHeader(http.StatusOK)
	return nil
}
