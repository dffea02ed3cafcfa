package sessionstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// OAuthClient is an application whose sessions differ from others' (RFC 6749 §2). It is
// public: it has an id, and no secret.
type OAuthClient struct {
	// ID is the client_id of its access tokens. Required.
	ID string
	// Audiences are the resource servers that its access tokens are for. None means those
	// of the first client.
	Audiences []string
	// Lifetimes are those of its new sessions, each of which keeps them. Zero members mean
	// the store's defaults, which are not kept.
	Lifetimes Lifetimes
	// RequireProof makes each refresh prove possession of the client's key (RFC 9449), and
	// so each creation must name the key.
	RequireProof bool

	argument any // the ID as an argument of statements
}

// withClients puts the first client, which Tokens describes, before the others, and
// validates them all.
func (c Config) withClients() (Config, error) {
	c.Tokens.ClientID = cmp.Or(c.Tokens.ClientID, c.Tokens.Audience)
	first := OAuthClient{ID: c.Tokens.ClientID, Audiences: tokens.Audiences(c.Tokens.Audience)}
	c.Clients = append([]OAuthClient{first}, c.Clients...)
	c.Tokens.AcceptedAudiences = slices.Clone(c.Tokens.AcceptedAudiences)
	for i := range c.Clients {
		client := &c.Clients[i]
		if client.ID == "" || slices.Contains(c.clientIDs()[:i], client.ID) {
			return c, fmt.Errorf("sessionstore: the id of a client is %q; it must not be empty, nor another client's", client.ID)
		}
		if len(client.Audiences) == 0 {
			client.Audiences = first.Audiences
		}
		for _, text := range append([]string{client.ID}, client.Audiences...) {
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				return c, fmt.Errorf("sessionstore: the client %q has text that PostgreSQL cannot store; it must be UTF-8 without NUL", client.ID)
			}
		}
		client.argument = client.ID
		its := c.Tokens
		its.ClientID, its.Audience = client.ID, tokens.Audience(client.Audiences...)
		if err := its.Check(); err != nil {
			return c, fmt.Errorf("sessionstore: the client %q: %w", client.ID, err)
		}
		if err := c.checkLifetimes(client.Lifetimes.Or(c.Lifetimes)); err != nil {
			return c, fmt.Errorf("sessionstore: the client %q: %w", client.ID, err)
		}
		if i > 0 {
			c.Tokens.AcceptedAudiences = append(c.Tokens.AcceptedAudiences, client.Audiences...)
		}
	}
	return c, nil
}

func (c Config) clientIDs() []string {
	ids := make([]string, len(c.Clients))
	for i, client := range c.Clients {
		ids[i] = client.ID
	}
	return ids
}

// client returns the client with the id; the first one for an empty id.
func (c Config) client(id string) (OAuthClient, error) {
	if id == "" {
		return c.Clients[0], nil
	}
	i := slices.IndexFunc(c.Clients, func(client OAuthClient) bool { return client.ID == id })
	if i < 0 {
		return OAuthClient{}, argumentError("client_id", "not known: it must be one of %s", strings.Join(c.clientIDs(), ", "))
	}
	return c.Clients[i], nil
}

// audiences are the audiences of access tokens, by client.
func (c Config) audiences() map[string]string {
	by := make(map[string]string, len(c.Clients))
	for _, client := range c.Clients {
		by[client.ID] = tokens.Audience(client.Audiences...)
	}
	return by
}

// provers are the clients that must prove possession of a key.
func (c Config) provers() []string {
	ids := []string{}
	for _, client := range c.Clients {
		if client.RequireProof {
			ids = append(ids, client.ID)
		}
	}
	return ids
}

// isOthers reports whether a pair belongs to a client other than the one named. A client
// that is not configured here may have been renamed: for its pairs, any name is right.
func (s *core) isOthers(p refresh.Pair, name string) bool {
	of := cmp.Or(p.Client, s.rules.FirstClient)
	return name != "" && name != of && slices.Contains(s.cfg.clientIDs(), of)
}

// hasResources reports whether a token for the audience may be used for all of them.
func hasResources(audience string, asked []string) bool {
	if len(asked) == 0 {
		return true
	}
	has := tokens.Audiences(audience)
	return !slices.ContainsFunc(asked, func(resource string) bool { return !slices.Contains(has, resource) })
}

// ClientIDs are the ids of the clients whose sessions the store makes, the first one first.
func (s *Store) ClientIDs() []string { return s.cfg.clientIDs() }

// lookup is the JSON in which statements look up the audience of a client's tokens,
// and whether the client must prove possession of a key.
func (c Config) lookup() string {
	text, err := json.Marshal(map[string]any{"audiences": c.audiences(), "provers": c.provers()}, json.Deterministic(true))
	if err != nil {
		panic(err) // text that withClients has checked
	}
	return string(text)
}

// clientScanner reads the column "client". The first client's id, the usual one,
// is not copied.
type clientScanner struct{ first, id string }

// ScanBytes takes null for the first client.
func (c *clientScanner) ScanBytes(text []byte) error {
	if c.id = c.first; text != nil && string(text) != c.first {
		c.id = string(text)
	}
	return nil
}
