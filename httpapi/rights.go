package httpapi

import (
	"net/http"
	"slices"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Right is one thing that a service key allows a backend to do.
type Right string

// The rights of service keys.
const (
	// RightCreate allows creating sessions, and changing what their tokens say or
	// how long they live: a session's claims, lifetimes and label.
	RightCreate Right = "create"
	// RightRead allows reading sessions without their data: one, a list, a history, claims.
	RightRead Right = "read"
	// RightReadData adds the data and its version to every answer that shows a session.
	RightReadData Right = "read-data"
	// RightWriteData allows replacing a session's data.
	RightWriteData Right = "write-data"
	// RightIntrospect allows checking access tokens (RFC 7662).
	RightIntrospect Right = "introspect"
	// RightEnd allows ending sessions, including by replacing them.
	RightEnd Right = "end"
	// RightRevocations allows following which sessions end.
	RightRevocations Right = "revocations"
	// RightEvents allows listing and resending events that could not be delivered.
	RightEvents Right = "events"
	// RightOperator allows using the operators' page: to see all users' sessions there, without their data, and to end
	// them. A key has this right only if it is named.
	RightOperator Right = "operator"
)

// Rights returns all rights.
func Rights() []Right {
	return []Right{
		RightCreate, RightRead, RightReadData, RightWriteData, RightIntrospect, RightEnd, RightRevocations, RightEvents, RightOperator,
	}
}

// unnamedRights are the rights of a key that names none.
func unnamedRights() []Right {
	return slices.DeleteFunc(Rights(), func(right Right) bool { return right == RightOperator })
}

// permitted answers requests whose key has the right.
func permitted(right Right, next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := need(r, right); err != nil {
			return err
		}
		return next(w, r)
	}
}

// need returns an error if the request's key does not have the right.
func need(r *http.Request, right Right) error {
	if mayDo(r, right) {
		return nil
	}
	return &problem{code: codeMissingRight, right: right, detail: `It needs the right "` + string(right) + `".`}
}

func mayDo(r *http.Request, right Right) bool { return slices.Contains(infoOf(r).rights, right) }

// shownTo is the session as the request's key may see it. The version goes with the
// data: if few values are possible, it reveals which one it is.
func shownTo(r *http.Request, s sessionstore.Session) sessionDocument {
	d := documentOf(s)
	if !mayDo(r, RightReadData) {
		d.Data, d.Checksum = nil, ""
	}
	return d
}
