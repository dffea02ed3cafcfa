package authorization

import (
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const insufficientAuthentication = "insufficient_user_authentication"

// Challenge is the WWW-Authenticate of a request whose user must authenticate again
// (RFC 9470 §3).
func Challenge(e *tokens.AuthenticationError) string {
	challenge := Bearer + ` error="` + insufficientAuthentication + `"`
	if e.Bound {
		challenge = dpop.Challenge("", insufficientAuthentication)
	}
	if len(e.ACRValues) > 0 {
		challenge += `, acr_values="` + strings.Join(e.ACRValues, " ") + `"`
	}
	if e.MaxAge > 0 {
		challenge += `, max_age="` + strconv.FormatInt(int64(e.MaxAge/time.Second), 10) + `"`
	}
	return challenge
}
