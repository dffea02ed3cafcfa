package httpapi

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// introspection is RFC 7662 §2.2 with the session in addition to the claims.
type introspection struct {
	Active    bool       `json:"active"`
	TokenType string     `json:"token_type,omitzero"`
	Issuer    string     `json:"iss,omitzero"`
	Audience  string     `json:"aud,omitzero"`
	Subject   string     `json:"sub,omitzero"`
	ClientID  string     `json:"client_id,omitzero"`
	ExpiresAt int64      `json:"exp,omitzero"`
	IssuedAt  int64      `json:"iat,omitzero"`
	TokenID   string     `json:"jti,omitzero"`
	SessionID documentID `json:"sid,omitzero"`
	Scope     string     `json:"scope,omitzero"`
	// Claims are the session's own, in a separate object, so that none is taken for
	// a member here.
	Claims jsontext.Value `json:"claims,omitzero"`
	contextDocument
	// Confirmation is present if the token is bound to a key.
	Confirmation *confirmation   `json:"cnf,omitzero"`
	Session      sessionDocument `json:"session,omitzero"`
}

// introspectionOfSeveral is the introspection of a token for several audiences (RFC
// 7519 §4.1.3).
type introspectionOfSeveral struct {
	introspection

	Audience []string `json:"aud"`
}

// introspectFields are the form fields that an introspection knows.
var introspectFields = append([]string{"token", "token_type_hint", "confirm", "client_id", "client_secret"}, proofFields...)

// introspectToken reveals everything about an active access token, and nothing about
// any other token (RFC 7662 §2.2), so that a caller does not learn why a token is not
// active. A refresh token is never active here: a resource server that asks
// must not take one for an access token.
func (s *Server) introspectToken(w http.ResponseWriter, r *http.Request) error {
	fields, err := decodeForm(r, introspectFields...)
	if err != nil {
		return err
	}
	if err := checkProofFields(fields); err != nil {
		return err
	}
	if confirm := fields.get("confirm"); confirm != "" && confirm != "true" && confirm != "false" {
		return invalidParameter("confirm", "It must be true or false.")
	}
	token, err := requiredField(fields, "token")
	if err != nil {
		return err
	}
	options := sessionstore.GetOptions{Unconfirmed: fields.get("confirm") == "false"}
	if fields.get("dpop") != "" {
		options.Check = func(claims tokens.Claims) error {
			if proven, err := s.isProven(r, fields, token, claims); err != nil || !proven {
				return cmp.Or(err, sessionstore.ErrNotProven)
			}
			return nil
		}
	}
	session, claims, err := s.store.GetWith(r.Context(), token, options)
	if reason := refusal(err); reason != "" {
		infoOf(r).refusal = reason
		return s.writeIntrospection(w, r, &introspection{})
	}
	if err != nil {
		return err
	}
	subject := claims.Subject
	if subject == "" {
		subject = session.ID.String() // as in the token itself (RFC 9068 §2.2)
	}
	var own jsontext.Value
	if claims.Custom != "" {
		own = jsontext.Value(claims.Custom)
	}
	answer := introspection{
		Active: true, TokenType: tokenType(claims.KeyThumbprint), Confirmation: confirmationOf(claims.KeyThumbprint),
		Issuer: claims.Issuer, Audience: claims.Audience, Subject: subject, ClientID: claims.ClientID,
		ExpiresAt: unixOrZero(claims.ExpiresAt), IssuedAt: claims.IssuedAt.Unix(),
		TokenID: claims.ID(), SessionID: documentID(session.ID), Session: shownTo(r, session),
		Scope: claims.Scope(), Claims: own, contextDocument: contextDocumentOf(claims.Context),
	}
	if !strings.HasPrefix(claims.Audience, "[") { // the usual case costs nothing extra
		return s.writeIntrospection(w, r, &answer)
	}
	if audiences := tokens.Audiences(claims.Audience); len(audiences) > 1 {
		return s.writeIntrospection(w, r, &introspectionOfSeveral{answer, audiences})
	}
	return s.writeIntrospection(w, r, &answer)
}

// unixOrZero is 0, which is omitted, for a token of Compas that never expires.
func unixOrZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
