package sessionhttp

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/authorization"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// partBytes is how much of a token is in one cookie: browsers drop one that has more than
	// 4,096 bytes with its name, and some also count its attributes.
	partBytes = 3840
	maxParts  = (tokens.MaxTokenBytes + partBytes - 1) / partBytes
)

// ErrCrossSite says that a page of another site sent a request that is not safe (RFC 9110
// §9.2.1), so the cookies that its browser sent do not count.
var ErrCrossSite = errors.New("a request from another site")

// Cookies is the transport for browsers that hold only cookies, which no script can read: the
// pair is in two of them, and the middleware refreshes it.
//
// They have the prefix __Host-, so that no other host of the domain can set them (RFC 6265bis
// §4.1.3.2), and are Secure, HttpOnly and SameSite=Lax. A browser keeps up to 4 KiB in one:
// the access token of a session with many of its own claims is split over several.
type Cookies struct {
	// Name is the cookies' name after the prefix, up to 121 characters. Managers with separate sessions each
	// need their own name: access tokens of the sessions that a manager begins contain it, and a manager
	// with another name refuses them. Sessions without a name, which [sessionstore.Store.Create] made
	// without a Cookie, are accepted by any manager. A refresh token has no name: another manager rotates it
	// before it refuses the pair, and the owner does not get the result; one that was used before is
	// reported as stolen, as anywhere. A transport that calls Cookies without embedding it has no name
	// either: its managers each need a [Config].ClientID. Empty means "session". With a name that a cookie
	// cannot have, [New] panics.
	Name string
	// Protection decides which requests come from another site, and refuses them, whether they
	// have cookies or not. Nil means [http.NewCrossOriginProtection], which trusts
	// no other origin. An upgrade request, with which WebSockets begin, counts as a POST: a
	// pattern that exempts them must name no other method.
	Protection *http.CrossOriginProtection
}

// sameOrigin trusts no other origin. It is never changed.
var sameOrigin = http.NewCrossOriginProtection()

// Read returns the tokens of the cookies. A duplicate cookie is not ours.
func (c Cookies) Read(r *http.Request) (Presented, error) {
	protection := cmp.Or(c.Protection, sameOrigin)
	if protection.Check(unsafely(r)) != nil {
		return Presented{}, ErrCrossSite
	}
	access, errAccess := joined(r, c.access())
	refresh, errRefresh := one(r, c.refresh())
	if err := cmp.Or(errAccess, errRefresh); err != nil {
		return Presented{}, err
	}
	presented := Presented{Scheme: authorization.Bearer, Access: tokens.Secret(access), Refresh: tokens.Secret(refresh)}
	if presented.Access == "" && presented.Refresh == "" {
		return Presented{}, ErrNoToken
	}
	return presented, nil
}

// unsafely returns the request as the protection must see it. A WebSocket begins with a GET, and can
// change anything: a page on another host of the same site could open one with the cookies.
func unsafely(r *http.Request) *http.Request {
	if r.Header.Get("Upgrade") == "" {
		return r
	}
	r = r.WithContext(r.Context())
	r.Method = http.MethodPost
	return r
}

// Write sets both cookies, for as long as the refresh token lasts, and forbids caching the
// response. Without a refresh token, the other cookie lasts as long as the access token.
func (c Cookies) Write(header http.Header, pair sessionstore.TokenPair) {
	if pair.RefreshToken == "" {
		c.Clear(header) // left by an earlier session
		c.split(header, string(pair.AccessToken), seconds(pair.ExpiresIn()))
		return
	}
	age := seconds(pair.RefreshExpiresIn())
	c.split(header, string(pair.AccessToken), age)
	c.set(header, c.refresh(), string(pair.RefreshToken), age)
}

// seconds is a Max-Age that does not remove the cookie.
func seconds(d time.Duration) int { return max(1, int(d.Seconds())) }

// Clear removes all cookies.
func (c Cookies) Clear(header http.Header) {
	c.set(header, c.access(), "", -1)
	c.set(header, c.refresh(), "", -1)
	for i := 1; i < maxParts; i++ {
		c.set(header, part(c.access(), i), "", -1)
	}
}

// Ambient is true: browsers send cookies with every request.
func (Cookies) Ambient() bool { return true }

// Vary makes caches keep one browser's responses from others (RFC 9110 §12.5.5).
func (Cookies) Vary() string { return "Cookie" }

func (c Cookies) set(header http.Header, name, value string, age int) {
	header["Set-Cookie"] = slices.DeleteFunc(header["Set-Cookie"], func(other string) bool {
		return strings.HasPrefix(other, name+"=")
	})
	header.Add("Set-Cookie", cookie(name, value, age).String())
	header.Set("Cache-Control", "no-store")
}

func cookie(name, value string, age int) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// check panics if net/http would drop the cookies from every response, or no token could name them.
func check(name string) {
	err := cookie(name, "", 0).Valid()
	if err == nil {
		_, err = tokens.JoinClaims(tokens.Context{Cookie: name}, "")
	}
	if err != nil {
		panic(fmt.Sprintf("sessionhttp: the name %q: %v", name, err))
	}
}

func (c Cookies) access() string {
	if c.Name == "" {
		return "__Host-session"
	}
	return "__Host-" + c.Name
}

func (c Cookies) refresh() string { return c.access() + "-refresh" }

// split sets the cookies of an access token. If there are several, the first one's value begins
// with their number and a dot: leftover parts of an earlier token are not read.
func (c Cookies) split(header http.Header, token string, age int) {
	n := (len(token) + partBytes - 1) / partBytes
	for i := 1; i < n; i++ {
		c.set(header, part(c.access(), i), token[i*partBytes:min((i+1)*partBytes, len(token))], age)
	}
	if n > 1 {
		token = fmt.Sprintf("%d.%s", n, token[:partBytes])
	}
	c.set(header, c.access(), token, age)
}

// joined returns the value that split set. Parts of several tokens, or a missing part, give a
// token that does not verify.
func joined(r *http.Request, name string) (string, error) {
	value, err := one(r, name)
	if err != nil || len(value) < 2 || value[1] != '.' || value[0] < '2' || value[0] > '0'+maxParts {
		return value, err
	}
	var token strings.Builder
	token.WriteString(value[2:])
	for i := 1; i < int(value[0]-'0'); i++ {
		next, err := one(r, part(name, i))
		if err != nil {
			return "", err
		}
		token.WriteString(next)
	}
	return token.String(), nil
}

// one returns the cookie's value, empty without one. A duplicate cookie is not ours.
func one(r *http.Request, name string) (string, error) {
	cookies := r.CookiesNamed(name)
	switch len(cookies) {
	case 0:
		return "", nil
	case 1:
		return cookies[0].Value, nil
	}
	return "", ErrMalformed
}

func part(name string, i int) string { return fmt.Sprintf("%s.%d", name, i+1) }
