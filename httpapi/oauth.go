package httpapi

import (
	"net/http"
	"slices"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// The form fields that each endpoint knows.
var (
	refreshFields = append([]string{"grant_type", "refresh_token", "scope"}, clientFields...)
	tokenFields   = append([]string{"token", "token_type_hint"}, clientFields...)
)

// refreshTokens is the token endpoint (RFC 6749 §6).
func (s *Server) refreshTokens(w http.ResponseWriter, r *http.Request) error {
	fields, err := decodeForm(r, refreshFields...)
	if err != nil {
		return err
	}
	clientID, err := s.checkClient(r, fields)
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
	thumbprint, err := s.provenKey(w, r, token)
	if err != nil {
		return err
	}
	if err := s.countRefresh(w, token, thumbprint); err != nil {
		return err
	}
	refreshed, err := s.store.RefreshTokensWith(r.Context(), token, sessionstore.RefreshOptions{
		KeyThumbprint: thumbprint, Scope: fields.get("scope"), ClientID: clientID, Resources: resources(fields),
		Client: sessionstore.Client{UserAgent: r.UserAgent(), IP: infoOf(r).client},
	})
	if err != nil {
		return refusedGrant(err)
	}
	infoOf(r).outcome = refreshed.Outcome.String()
	w.Header()["Pragma"] = noCache // RFC 6749 §5.1
	document := tokenDocumentOf(refreshed.Pair)
	return writeJSON(w, http.StatusOK, &document)
}

// resources are the resources that the access token will be used for (RFC 8707 §2.2),
// of which there may be several. An empty one counts as absent, like any field.
func resources(fields formFields) []string {
	return slices.DeleteFunc(fields.all("resource"), func(resource string) bool { return resource == "" })
}

// revokeToken is RFC 7009. Anyone who holds a token of a session may end it, whatever client_id they send. A token that is not valid is answered with success (§2.2).
// Both kinds of token are revoked, and a token itself says which kind it is: so unsupported_token_type never applies, and a hint, even of an unknown type, changes
// nothing (§2.1, §2.2).
func (s *Server) revokeToken(w http.ResponseWriter, r *http.Request) error {
	fields, err := decodeForm(r, tokenFields...)
	if err != nil {
		return err
	}
	if _, err := s.checkClient(r, fields); err != nil {
		return err
	}
	token, err := requiredField(fields, "token")
	if err != nil {
		return err
	}
	if err := s.countRevocation(w, token); err != nil {
		return err
	}
	if err := s.store.RevokeToken(r.Context(), token); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct{}{}) // no RFC requires a body, but some clients parse one
}
