package soak_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// pair is what a client stores.
type pair struct {
	Access     string `json:"access_token"`
	Refresh    string `json:"refresh_token"`
	session    string
	generation int64
	since      time.Time
}

// verdict is what an answer means to a client.
type verdict string

const (
	accepted verdict = "accepted"
	refused  verdict = "refused"
	// unknown is an outage, of the service, the database or the network. It says nothing about a token.
	unknown verdict = "unknown"
)

// client sends requests. It is for one goroutine at a time.
type client struct {
	soak    *soak
	line    *line
	agent   string
	answers int // that it has got
}

func newClient(s *soak, name, agent string) *client {
	return &client{soak: s, line: &line{s.network, s.dice(name)}, agent: agent}
}

func (c *client) send(ctx context.Context, method, url, bearer, mediaType, body string) answer {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		c.soak.t.Error(err)
		return answer{}
	}
	r.Header.Set("User-Agent", c.agent)
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	if body != "" {
		r.Header.Set("Content-Type", mediaType)
	}
	a := c.line.send(r)
	if ctx.Err() != nil { // an answer that comes too late is none
		return answer{}
	}
	if a.status != 0 {
		c.answers++
	}
	return a
}

func (c *client) form(ctx context.Context, url, bearer string, fields url.Values) answer {
	return c.send(ctx, http.MethodPost, url, bearer, "application/x-www-form-urlencoded", fields.Encode())
}

// is returns the meaning of an answer that accepts with one status and refuses with another.
func (c *client) is(a answer, yes, no int) verdict {
	switch a.status {
	case yes:
		return accepted
	case no:
		return refused
	case http.StatusServiceUnavailable:
		c.soak.tally.add("clients: told 503")
		return unknown
	case 0:
		return unknown
	}
	c.soak.t.Errorf("an unexpected answer: %d %s", a.status, a.body)
	return unknown
}

// signIn makes a session, as a backend does.
func (c *client) signIn(ctx context.Context, subject string) (pair, verdict) {
	return c.signInFor(ctx, subject, accessTokenTTL)
}

// signInFor is signIn with access tokens of another lifetime.
func (c *client) signInFor(ctx context.Context, subject string, ttl time.Duration) (pair, verdict) {
	body := fmt.Sprintf(`{"subject":%q,"data":{},"access_token_ttl":%d}`, subject, int64(ttl/time.Second))
	a := c.send(ctx, http.MethodPost, internalURL+"/v1/sessions", testservice.Key, "application/json", body)
	v := c.is(a, http.StatusCreated, http.StatusUnauthorized)
	if v != accepted {
		return pair{}, v
	}
	return c.parse(a.body), v
}

// refresh presents a refresh token.
func (c *client) refresh(ctx context.Context, token string) (pair, verdict) {
	a := c.form(ctx, publicURL+refreshPath, "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	v := c.is(a, http.StatusOK, http.StatusBadRequest)
	switch v {
	case accepted:
		return c.parse(a.body), v
	case refused:
		if !strings.Contains(string(a.body), `"invalid_grant"`) {
			c.soak.t.Errorf("a refresh was refused for another reason than its token: %s", a.body)
		}
	case unknown:
	}
	return pair{}, v
}

// use uses an access token, as an app does.
func (c *client) use(ctx context.Context, p pair) verdict {
	a := c.send(ctx, http.MethodGet, publicURL+"/v1/me/sessions/current", p.Access, "", "")
	if a.status == http.StatusOK && !strings.Contains(string(a.body), p.session) {
		c.soak.t.Errorf("not the token's session: %s", a.body)
	}
	return c.is(a, http.StatusOK, http.StatusUnauthorized)
}

// list uses an access token where the service does not ask its database about it.
func (c *client) list(ctx context.Context, p pair) verdict {
	a := c.send(ctx, http.MethodGet, publicURL+"/v1/me/sessions?limit=1", p.Access, "", "")
	v := c.is(a, http.StatusOK, http.StatusUnauthorized)
	if v == accepted {
		c.soak.tally.add("edge: accepted by a service")
	}
	return v
}

// introspect uses an access token, as a backend that is called with it does.
func (c *client) introspect(ctx context.Context, p pair) verdict {
	return c.ask(ctx, p, url.Values{"token": {p.Access}})
}

// introspectUnconfirmed uses an access token that its client may not have got yet.
func (c *client) introspectUnconfirmed(ctx context.Context, p pair) verdict {
	return c.ask(ctx, p, url.Values{"token": {p.Access}, "confirm": {"false"}})
}

func (c *client) ask(ctx context.Context, p pair, fields url.Values) verdict {
	a := c.form(ctx, internalURL+"/oauth2/introspect", testservice.Key, fields)
	var state struct {
		Active  bool   `json:"active"`
		Session string `json:"sid"`
	}
	v := c.is(a, http.StatusOK, http.StatusUnauthorized)
	if v != accepted {
		return v
	}
	if err := json.Unmarshal(a.body, &state); err != nil || state.Active && state.Session != p.session {
		c.soak.t.Errorf("introspection: %s (%v)", a.body, err)
	}
	if !state.Active {
		return refused
	}
	return accepted
}

// logOut ends a session (RFC 7009).
func (c *client) logOut(ctx context.Context, p pair) verdict {
	a := c.form(ctx, publicURL+"/oauth2/revoke", "", url.Values{"token": {p.Refresh}})
	return c.is(a, http.StatusOK, http.StatusBadRequest)
}

// signOutEverywhere ends a subject's sessions, as a backend does.
func (c *client) signOutEverywhere(ctx context.Context, subject string) verdict {
	a := c.send(ctx, http.MethodDelete, internalURL+"/v1/sessions?subject="+url.QueryEscape(subject), testservice.Key, "", "")
	return c.is(a, http.StatusOK, http.StatusUnauthorized)
}

// parse reads a token response, and from the refresh token which row and generation it names.
func (c *client) parse(body []byte) pair {
	p := pair{since: time.Now()}
	var claims struct {
		ID      string `json:"jti"`
		Session string `json:"sid"`
	}
	err := json.Unmarshal(body, &p)
	if parts := strings.Split(p.Refresh, "."); err == nil && len(parts) == 3 {
		var payload []byte
		if payload, err = base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			err = json.Unmarshal(payload, &claims)
		}
	}
	_, generation, _ := strings.Cut(claims.ID, ".r")
	number, parseErr := strconv.ParseInt(generation, 10, 64)
	if err != nil || parseErr != nil || claims.Session == "" || p.Access == "" {
		c.soak.t.Errorf("not a token response: %s", body)
	}
	p.session, p.generation = claims.Session, number
	return p
}

// persist asks again for as long as the outcome is unknown.
func (s *soak) persist(ask func(context.Context) verdict) verdict {
	for began := time.Now(); s.worthwhile(began); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		v := ask(ctx)
		cancel()
		if v != unknown {
			return v
		}
	}
	s.t.Error("nobody answers")
	return unknown
}
