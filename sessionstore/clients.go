package sessionstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/latchkey-sessions/latchkey/tokens"
)

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

// hasResources reports whether a token for the audience may be used for all of them.
func hasResources(audience string, asked []string) bool {
	if len(asked) == 0 {
		return true
	}
	has := tokens.Audiences(audience)
	return !slices.ContainsFunc(asked, func(resource string) bool { return !slices.Contains(has, resource) })
}

// lookup is the JSON in which statements look up the audience of a client's tokens,
// and whether the client must prove possession of a key.
func (c Config) lookup() string {
	text, err := json.Marshal(map[string]any{"audiences": c.audiences(), "provers": c.provers()}, json.Deterministic(true))
	if err != nil {
		panic(err) // text that withClients has checked
	}
	return string(text)
}
