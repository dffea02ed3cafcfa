package httpapi

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// maxSeconds is the longest lifetime.
const maxSeconds = int64(sessionstore.MaxLifetime / time.Second)

// newSession is the body of a creation. Data stays the text that it is, so
// that a number keeps its digits.
type newSession struct {
	Subject         *string        `json:"subject"`
	Data            jsontext.Value `json:"data"`
	Claims          jsontext.Value `json:"claims"`
	AccessTokenTTL  *int64         `json:"access_token_ttl"`
	RefreshTokenTTL *int64         `json:"refresh_token_ttl"`
	SessionTTL      *int64         `json:"session_ttl"`
	Client          newClient      `json:"client"`
	DPoPThumbprint  *string        `json:"dpop_jkt"`
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
	body, err := decodeJSON[newSession](w, r, sessionstore.MaxDataBytes+maxEnvelopeBytes)
	if err != nil {
		return err
	}
	params, err := body.params()
	if err != nil {
		return err
	}
	session, pair, err := s.store.Create(r.Context(), params)
	if err != nil {
		return err
	}
	document, tokens := documentOf(session), tokenDocumentOf(pair)
	tokens.Session = &document
	h := w.Header()
	h.Set("Location", "/v1/sessions/"+session.ID.String())
	h.Set("ETag", etagOf(session.Checksum))
	h.Set("Pragma", "no-cache") // RFC 6749 §5.1
	return writeJSON(w, http.StatusCreated, tokens)
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
	if n.DPoPThumbprint != nil {
		if *n.DPoPThumbprint == "" {
			return params, invalidMember("/dpop_jkt", "It is empty. Leave it out for bearer tokens.")
		}
		params.KeyThumbprint = *n.DPoPThumbprint
	}
	for _, ttl := range []struct {
		pointer string
		seconds *int64
		to      *time.Duration
	}{
		{"/access_token_ttl", n.AccessTokenTTL, &params.Lifetimes.AccessToken},
		{"/refresh_token_ttl", n.RefreshTokenTTL, &params.Lifetimes.RefreshToken},
		{"/session_ttl", n.SessionTTL, &params.Lifetimes.Session},
	} {
		if ttl.seconds == nil {
			continue
		}
		if *ttl.seconds < 1 || *ttl.seconds > maxSeconds {
			return params, invalidMember(ttl.pointer, fmt.Sprintf("It must be between 1 and %d seconds.", maxSeconds))
		}
		*ttl.to = time.Duration(*ttl.seconds) * time.Second
	}
	return params, nil
}
