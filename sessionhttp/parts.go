package sessionhttp

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// partBytes is how much of a token is in one cookie: browsers drop one that has more than
	// 4,096 bytes with its name, and some also count its attributes.
	partBytes = 3840
	maxParts  = (tokens.MaxTokenBytes + partBytes - 1) / partBytes
)

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
