package httpapi

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// newSession is the body of a creation. Data stays the text that it is, so
// that a number keeps its digits.
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

// newClient is what a creation says of the client.
type newClient struct {
	Label     described `json:"label"`
	UserAgent described `json:"user_agent"`
	IP        described `json:"ip"`
}

// described is a word about a client. It decides nothing, so nothing is refused for
// it: null is as good as none, which frameworks write where they know nothing.
type described string

func (s *Server) createSession(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r, jsonType, sessionstore.MaxDataBytes+maxEnvelopeBytes)
	if err != nil {
		return err
	}
	wanted, err := parseNewSession(body)
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
	document, tokens := shownTo(r, session), tokenDocumentOf(pair)
	tokens.Session = &document
	h := w.Header()
	h.Set("Location", "/v1/sessions/"+session.ID.String())
	setETag(h, document.Checksum)
	h.Set("Pragma", "no-cache") // RFC 6749 §5.1
	return writeJSON(w, http.StatusCreated, tokens)
}

// create makes the session that was asked for, in the place of another if so wanted.
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

// parseNewSession reads a body, also one in which what describes the client is no text:
// backends hand on what clients send, which may be bytes of any kind, and of a label that
// was cut half a character may be left.
func parseNewSession(body []byte) (newSession, error) {
	parsed, err := parseJSON[newSession](body)
	if err == nil {
		return parsed, nil
	}
	if readable, found := withReadableClient(body); found {
		return parseJSON[newSession](readable)
	}
	return parsed, err
}

// withReadableClient puts the replacement character for what is no character in the
// member "client", where there is one, and changes no other.
func withReadableClient(body []byte) (readable []byte, found bool) {
	lenient := jsontext.AllowInvalidUTF8(true)
	decoder := jsontext.NewDecoder(bytes.NewReader(body), lenient)
	if token, err := decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return nil, false
	}
	for decoder.PeekKind() == '"' {
		name, err := decoder.ReadToken()
		if err != nil {
			return nil, false
		}
		isClient := name.String() == "client"
		value, err := decoder.ReadValue()
		if err != nil {
			return nil, false
		}
		if !isClient {
			continue
		}
		client, err := jsontext.AppendFormat(nil, value, lenient)
		end := decoder.InputOffset()
		return slices.Concat(body[:end-int64(len(value))], client, body[end:]), err == nil
	}
	return nil, false
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
	var err error
	params.Lifetimes, err = n.lifetimes()
	return params, err
}
