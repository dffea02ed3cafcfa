package httpapi

import (
	"net/http"

	"github.com/google/uuid"
)

// introspection is RFC 7662 §2.2 with the session beside the claims.
type introspection struct {
	Active    bool             `json:"active"`
	TokenType string           `json:"token_type,omitzero"`
	Issuer    string           `json:"iss,omitzero"`
	Audience  string           `json:"aud,omitzero"`
	Subject   string           `json:"sub,omitzero"`
	ClientID  string           `json:"client_id,omitzero"`
	ExpiresAt int64            `json:"exp,omitzero"`
	IssuedAt  int64            `json:"iat,omitzero"`
	TokenID   string           `json:"jti,omitzero"`
	SessionID uuid.UUID        `json:"sid,omitzero"`
	Session   *sessionDocument `json:"session,omitzero"`
}

// introspectToken tells of an active access token everything, of any other
// token nothing (RFC 7662 §2.2), so that nobody learns from it why one is not
// active. A refresh token is never active here: a resource server that asks
// must not take one for an access token.
func (s *Server) introspectToken(w http.ResponseWriter, r *http.Request) error {
	fields, err := decodeForm(w, r, "token", "token_type_hint")
	if err != nil {
		return err
	}
	token, err := requiredField(fields, "token")
	if err != nil {
		return err
	}
	session, claims, err := s.store.Get(r.Context(), token)
	if refusal(err) != "" {
		return writeJSON(w, http.StatusOK, introspection{})
	}
	if err != nil {
		return err
	}
	subject := claims.Subject
	if subject == "" {
		subject = session.ID.String() // as the token itself has it (RFC 9068 §2.2)
	}
	document := documentOf(session)
	return writeJSON(w, http.StatusOK, introspection{
		Active: true, TokenType: "Bearer",
		Issuer: claims.Issuer, Audience: claims.Audience, Subject: subject, ClientID: claims.ClientID,
		ExpiresAt: claims.ExpiresAt.Unix(), IssuedAt: claims.IssuedAt.Unix(),
		TokenID: claims.ID(), SessionID: session.ID, Session: &document,
	})
}
