package httpapi

import (
	"context"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// newSession is the body of a creation. Data stays unparsed, so that numbers
// keep their digits.
type newSession struct {
	Subject        *string        `json:"subject"`
	ClientID       *string        `json:"client_id"`
	Data           jsontext.Value `json:"data"`
	Claims         jsontext.Value `json:"claims"`
	Client         newClient      `json:"client"`
	DPoPThumbprint *string        `json:"dpop_jkt"`
	Replaces       *string        `json:"replaces"`
	RefreshToken   *bool          `json:"refresh_token"`
	newContext
	newLifetimes
}

func (s *Server) createSession(w http.ResponseWriter, r *http.Request) error {
	wanted, err := decodeDescribed[newSession](r, sessionstore.MaxDataBytes+maxEnvelopeBytes)
	if err != nil {
		return err
	}
	params, err := wanted.params()
	if err != nil {
		return err
	}
	if params.IdempotencyKey, err = idempotencyKey(r); err != nil {
		return err
	}
	if wanted.Replaces != nil {
		if err := need(r, RightEnd); err != nil {
			return err
		}
	}
	session, pair, err := s.create(r.Context(), wanted, params)
	if err != nil {
		return err
	}
	tokens := tokenDocumentOf(pair)
	tokens.Session = shownTo(r, session)
	h := w.Header()
	h.Set("Location", "/v1/sessions/"+session.ID.String())
	setETag(h, tokens.Session.Checksum)
	h["Pragma"] = noCache // RFC 6749 §5.1
	return writeJSON(w, http.StatusCreated, &tokens)
}

// create makes the requested session, in place of another if the request says
// so.
func (s *Server) create(ctx context.Context, wanted newSession, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error) {
	if wanted.Replaces == nil {
		return s.store.Create(ctx, params)
	}
	if *wanted.Replaces == "" {
		return sessionstore.Session{}, sessionstore.TokenPair{}, invalidMember("/replaces", "It is empty. Leave it out for a session that replaces none.")
	}
	replaced := sessionstore.Replaced{Token: *wanted.Replaces}
	if id, ok := parseSessionID(*wanted.Replaces); ok {
		replaced = sessionstore.Replaced{SessionID: id}
	}
	return s.store.Replace(ctx, replaced, params)
}

func (n newSession) params() (sessionstore.CreateParams, error) {
	params := sessionstore.CreateParams{
		Data:   n.Data,
		Claims: n.Claims,
		Client: sessionstore.Client{Label: string(n.Client.Label), UserAgent: string(n.Client.UserAgent), IP: string(n.Client.IP)},
	}
	if n.Subject != nil {
		if *n.Subject == "" {
			return params, invalidMember("/subject", "It is empty. Leave it out for a session without a subject.")
		}
		params.Subject = *n.Subject
	}
	if n.ClientID != nil {
		if *n.ClientID == "" {
			return params, invalidMember("/client_id", "It is empty. Leave it out for the first client.")
		}
		params.ClientID = *n.ClientID
	}
	if n.DPoPThumbprint != nil {
		if *n.DPoPThumbprint == "" {
			return params, invalidMember("/dpop_jkt", "It is empty. Leave it out for bearer tokens.")
		}
		params.KeyThumbprint = *n.DPoPThumbprint
	}
	params.NoRefresh = n.RefreshToken != nil && !*n.RefreshToken
	if err := n.addTo(&params); err != nil {
		return params, err
	}
	params.Lifetimes = n.lifetimes()
	return params, nil
}
