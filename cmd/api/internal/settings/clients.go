package settings

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/latchkey-sessions/latchkey/internal/secretfile"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const clientsForm = `a JSON array of clients such as [{"client_id": "agent", "audiences": ["https://mcp.example.com"], "origins": ["https://agent.example.com"], "access_token_ttl": "5m", "refresh_token_ttl": "24h", "session_ttl": "720h", "dpop_required": true}], of which each has a client_id and what it needs of the rest`

// Clients are the clients in addition to the one of LATCHKEY_CLIENT_ID.
type Clients []client

// client is one of them, as in the file.
type client struct {
	ID              *string  `json:"client_id"`
	Audiences       []string `json:"audiences"`
	Origins         []string `json:"origins"`
	AccessTokenTTL  *string  `json:"access_token_ttl"`
	RefreshTokenTTL *string  `json:"refresh_token_ttl"`
	SessionTTL      *string  `json:"session_ttl"`
	DPoPRequired    bool     `json:"dpop_required"`

	lifetimes sessionstore.Lifetimes
}

// Clients reads LATCHKEY_CLIENTS_FILE. There are none if it is not set.
func (s *Serve) Clients() (Clients, error) {
	if s.ClientsFile == "" {
		return nil, nil
	}
	content, err := secretfile.Read(string(s.ClientsFile))
	if err != nil {
		return nil, fmt.Errorf("LATCHKEY_CLIENTS_FILE cannot be read: %w", err)
	}
	var clients Clients
	if err := json.Unmarshal(content, &clients, json.RejectUnknownMembers(true), json.WithUnmarshalers(json.UnmarshalFromFunc(refuseNull))); err != nil {
		return nil, wrongClients(jsonProblem(err, "client"), clientsForm)
	}
	ids := []string{string(s.ClientID)}
	for i := range clients {
		if err := clients[i].check(fmt.Sprintf("/%d", i), ids); err != nil {
			return nil, err
		}
		ids = append(ids, *clients[i].ID)
	}
	return clients, nil
}

// refuseNull refuses null and passes on anything else: a member without a value must be
// left out.
func refuseNull(d *jsontext.Decoder, _ any) error {
	if d.PeekKind() == 'n' {
		return errNull
	}
	return errors.ErrUnsupported
}

var errNull = errors.New("null")

// check checks a client, and reads its lifetimes. Its errors have a JSON pointer.
func (c *client) check(at string, taken []string) error {
	switch {
	case c.ID == nil:
		return wrongClients(at+"/client_id, which is missing", "a name, up to 512 bytes")
	case !isText(*c.ID):
		return wrongClients(at+"/client_id, which is "+Quote(*c.ID), "text without control characters and without space around it")
	case slices.Contains(taken, *c.ID):
		return wrongClients(at+"/client_id, which is "+Quote(*c.ID)+" again", "an id that neither LATCHKEY_CLIENT_ID nor another client has")
	}
	if c.Audiences != nil && len(c.Audiences) == 0 {
		return wrongClients(at+"/audiences, which is empty", "a list of names; left out for LATCHKEY_AUDIENCE")
	}
	for i, audience := range c.Audiences {
		if !isText(audience) || slices.Contains(c.Audiences[:i], audience) {
			return wrongClients(fmt.Sprintf("%s/audiences/%d, which is %s", at, i, Quote(audience)), "different names without control characters and without space around them")
		}
	}
	for i, origin := range c.Origins {
		if !isOrigin(origin) {
			return wrongClients(fmt.Sprintf("%s/origins/%d, which is %s", at, i, Quote(origin)), originForm)
		}
	}
	for _, ttl := range []struct {
		member string
		text   *string
		to     *time.Duration
	}{
		{"access_token_ttl", c.AccessTokenTTL, &c.lifetimes.AccessToken},
		{"refresh_token_ttl", c.RefreshTokenTTL, &c.lifetimes.RefreshToken},
		{"session_ttl", c.SessionTTL, &c.lifetimes.Session},
	} {
		if ttl.text == nil {
			continue
		}
		d, err := time.ParseDuration(*ttl.text)
		mayBeNone := ttl.member == "refresh_token_ttl"
		if err != nil || d < 0 || d == 0 && !mayBeNone || d > time.Duration(maxLifetime) || d%time.Second != 0 {
			return wrongClients(at+"/"+ttl.member+", which is "+Quote(*ttl.text), "a duration in whole seconds, such as 5m or 720h, up to "+maxLifetime.String()+"; 0 for a refresh_token_ttl without an idle timeout")
		}
		if *ttl.to = d; d == 0 {
			*ttl.to = sessionstore.NoIdleTimeout
		}
	}
	return nil
}

// Store returns them as the store's configuration.
func (c Clients) Store() []sessionstore.OAuthClient {
	clients := make([]sessionstore.OAuthClient, len(c))
	for i, its := range c {
		clients[i] = sessionstore.OAuthClient{ID: *its.ID, Audiences: its.Audiences, Lifetimes: its.lifetimes, RequireProof: its.DPoPRequired}
	}
	return clients
}

// CORSOrigins are the origins of all clients, including the first: a preflight does not
// say which client it is for.
func (c Clients) CORSOrigins(first []string) []string {
	all := slices.Clone(first)
	for _, its := range c {
		for _, origin := range its.Origins {
			if !slices.Contains(all, origin) {
				all = append(all, origin)
			}
		}
	}
	return all
}

func wrongClients(is, must string) error { return wrongFile("LATCHKEY_CLIENTS_FILE", is, must) }

// wrongFile says where the file of a setting is wrong.
func wrongFile(variable, is, must string) error {
	return &Error{fmt.Sprintf("%s has a mistake at %s; it must be %s", variable, is, must)}
}

// jsonProblem says where a JSON text is wrong, without quoting it. The text is a list of
// the named items.
func jsonProblem(err error, of string) string {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(e, jsontext.ErrDuplicateName) {
			return string(e.JSONPointer) + ", which is a duplicate"
		}
		return fmt.Sprintf("byte %d, where it is not JSON", e.ByteOffset)
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		at := cmp.Or(string(e.JSONPointer), "the whole text")
		if errors.Is(e, json.ErrUnknownName) {
			return at + ", which no " + of + " has"
		}
		if errors.Is(e, errNull) {
			return at + ", which is null"
		}
		return at + ", which is of another type"
	}
	return "its end"
}
