package console

import (
	"net/http"
	"strings"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// An operator's name is in the subject of their session, which no backend can change: with
// the right write-data it could write the session's data.
const (
	byKey  = "operator:"
	byLink = "operator-link:"
)

// operator is the operator who sent the request.
type operator struct {
	Name string
	// ReadsData reports whether they may see session data.
	ReadsData bool
}

// cause is the cause for sessions that the operator ends.
func (o operator) cause() sessionstore.Cause {
	return sessionstore.Cause{Reason: sessionstore.ReasonOperator, By: o.Name}
}

// acting makes the audit trail name the operator.
func (o operator) acting(r *http.Request) *http.Request {
	return r.WithContext(audit.WithOrigin(r.Context(), audit.Origin{Actor: audit.Actor{Type: audit.Operator, ID: o.Name}}))
}

// operatorOf returns who has signed in. Removing a key, or changing its secret, signs out
// its operators.
func (c *Console) operatorOf(r *http.Request) (operator, bool) {
	s := c.manager.From(r.Context())
	if s == nil {
		return operator{}, false
	}
	if name, ok := strings.CutPrefix(s.Info.Subject, byLink); ok {
		return operator{Name: name}, true
	}
	name, ok := strings.CutPrefix(s.Info.Subject, byKey)
	key, known := c.keys.KeyNamed(name)
	if !ok || !known || !key.Has(httpapi.RightOperator) || key.Fingerprint != s.Read().Key {
		return operator{}, false
	}
	return operatorWith(key), true
}

func operatorWith(key httpapi.KeyInfo) operator {
	return operator{Name: key.Name, ReadsData: key.Has(httpapi.RightReadData)}
}

func clientOf(r *http.Request) sessionstore.Client {
	return sessionstore.Client{Label: "console", UserAgent: r.UserAgent(), IP: httpapi.Origin(r.Context()).ClientIP}
}
