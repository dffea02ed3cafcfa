package tokens

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Context is what a session's access tokens say about its circumstances: how its
// user authenticated, who acts for them, and where a browser keeps them.
type Context struct {
	// Authentication is nil if nothing is known about it.
	Authentication *Authentication
	// Actor is nil if the subject acts for themselves.
	Actor *Actor
	// Cookie is the name of the only cookie that the tokens may arrive in, if a browser keeps
	// them in cookies: a token in any other cookie was moved there. It has up to 128 printable
	// ASCII characters, without quotation marks and backslashes, and is empty if none was
	// named.
	Cookie string
}

// maxCookieBytes is far longer than any cookie's name.
const maxCookieBytes = 128

// wireContext is the JSON form of a [Context].
type wireContext struct {
	ACR      string   `json:"acr,omitzero"`
	Actor    *Actor   `json:"act,omitzero"`
	AMR      []string `json:"amr,omitempty"`
	AuthTime *int64   `json:"auth_time,omitzero"`
	Cookie   string   `json:"latchkey_cookie,omitzero"`
}

// contextStarts are the beginnings of claims with a context, and of no others: the
// names are reserved.
var contextStarts = [...]string{`{"acr":`, `{"act":`, `{"amr":`, `{"auth_time":`, cookieStart}

// cookieStart begins a context that has a cookie, and nothing else.
const cookieStart = `{"latchkey_cookie":`

func hasContext(form string) bool {
	for _, start := range contextStarts {
		if strings.HasPrefix(form, start) {
			return true
		}
	}
	return false
}

// JoinClaims puts a context before a session's own claims, as [CustomClaims] returns
// them, separated by a line break: JSON allows none within a string, so there is no
// other. The result is signed as [Claims].Custom, and split by [SplitClaims].
// Together they may take [MaxCustomBytes]. Every error is a [CustomError], whose Pointer
// is empty if the session's own claims are too long.
func JoinClaims(c Context, custom string) (string, error) {
	if err := c.Authentication.check(); err != nil {
		return "", err
	}
	if err := c.Actor.check(); err != nil {
		return "", err
	}
	if c.Cookie != "" && (len(c.Cookie) > maxCookieBytes || !isWord(c.Cookie)) {
		return "", customError("/cookie", "not "+wantedWord, maxCookieBytes)
	}
	if c.Authentication.isZero() && c.Actor == nil && c.Cookie == "" {
		return custom, nil
	}
	wire := c.wire()
	form, err := json.Marshal(wire)
	if err != nil {
		return "", fmt.Errorf("tokens: encode a context: %w", err)
	}
	if wire.Actor != nil {
		actor, err := json.Marshal(wire.Actor)
		if err != nil {
			return "", fmt.Errorf("tokens: encode an actor: %w", err)
		}
		if len(actor) > maxActorBytes {
			return "", customError("/act", "longer than %d bytes", maxActorBytes)
		}
	}
	joined := string(form[:len(form)-1]) + "\n"
	if custom == "" {
		return joined + "}", nil
	}
	joined += "," + custom[1:]
	if len(joined) > MaxCustomBytes {
		return "", customError("", "longer than %d bytes together with acr, act, amr, auth_time and latchkey_cookie", MaxCustomBytes)
	}
	return joined, nil
}

func (c Context) wire() wireContext {
	w := wireContext{Actor: c.Actor, Cookie: c.Cookie}
	if a := c.Authentication; !a.isZero() {
		w.ACR, w.AMR = a.ACR, a.AMR
		if !a.AuthTime.IsZero() {
			w.AuthTime = new(a.AuthTime.Unix())
		}
	}
	return w
}

func (w wireContext) context() Context {
	c := Context{Actor: w.Actor, Cookie: w.Cookie}
	if w.ACR != "" || len(w.AMR) > 0 || w.AuthTime != nil {
		c.Authentication = &Authentication{ACR: w.ACR, AMR: w.AMR}
		if w.AuthTime != nil {
			c.Authentication.AuthTime = time.Unix(*w.AuthTime, 0).UTC()
		}
	}
	return c
}

// SplitClaims splits what [JoinClaims] joined. It costs nothing if there is no
// context.
func SplitClaims(form string) (Context, string, error) {
	if !hasContext(form) {
		return Context{}, form, nil
	}
	if cookie, own, only := splitCookie(form); only {
		return Context{Cookie: cookie}, own, nil
	}
	var parts struct {
		wireContext

		Custom jsontext.Value `json:",embed"`
	}
	if err := json.Unmarshal([]byte(form), &parts); err != nil {
		return Context{}, "", fmt.Errorf("tokens: decode a session's claims: %w", err)
	}
	return parts.context(), string(parts.Custom), nil
}

// splitCookie is [SplitClaims] for a context that has only a cookie, as nearly every
// session in cookies has: its name needs no decoding.
func splitCookie(form string) (cookie, own string, only bool) {
	rest, only := strings.CutPrefix(form, cookieStart+`"`)
	if !only {
		return "", "", false
	}
	cookie, own, only = strings.Cut(rest, "\"\n")
	switch {
	case !only || !isWord(cookie):
		return "", "", false
	case own == "}":
		return cookie, "", true
	case strings.HasPrefix(own, ","):
		return cookie, "{" + own[1:], true
	}
	return "", "", false
}
