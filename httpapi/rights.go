package httpapi

import (
	"net/http"
	"slices"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Right is one thing that a service key lets a backend do.
type Right string

// What a service key may be for.
const (
	// RightCreate is for creating sessions, and for what would let their tokens say
	// something else or live longer: a session's claims, lifetimes and label.
	RightCreate Right = "create"
	// RightRead is for sessions without their data: one, a list, a history, claims.
	RightRead Right = "read"
	// RightReadData adds the data and its version to every answer that shows a session.
	RightReadData Right = "read-data"
	// RightWriteData is for replacing a session's data.
	RightWriteData Right = "write-data"
	// RightIntrospect is for checking access tokens (RFC 7662).
	RightIntrospect Right = "introspect"
	// RightEnd is for ending sessions, by replacing them too.
	RightEnd Right = "end"
	// RightRevocations is for following which sessions end.
	RightRevocations Right = "revocations"
	// RightEvents is for events that could not be delivered: to list them, and to send them again.
	RightEvents Right = "events"
	// RightOperator is for the operators' page: to see everybody's sessions there, without
	// their data, and to end them. It is the one that a key has only if it is named.
	RightOperator Right = "operator"
)

// Rights returns all that there are.
func Rights() []Right {
	return []Right{
		RightCreate, RightRead, RightReadData, RightWriteData, RightIntrospect, RightEnd, RightRevocations, RightEvents, RightOperator,
	}
}

// unnamedRights are those of a key that names none.
func unnamedRights() []Right {
	return slices.DeleteFunc(Rights(), func(right Right) bool { return right == RightOperator })
}

// permitted answers for a key that has the right.
func permitted(right Right, next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := need(r, right); err != nil {
			return err
		}
		return next(w, r)
	}
}

// need returns an error where the request's key does not have the right.
func need(r *http.Request, right Right) error {
	if mayDo(r, right) {
		return nil
	}
	return &problem{code: codeMissingRight, right: right, detail: `It needs the right "` + string(right) + `".`}
}

func mayDo(r *http.Request, right Right) bool { return slices.Contains(infoOf(r).rights, right) }

// shownTo is the session as the request's key may see it. The version goes with the
// data: where few values are possible, it tells which one it is.
func shownTo(r *http.Request, s sessionstore.Session) sessionDocument {
	d := documentOf(s)
	if !mayDo(r, RightReadData) {
		d.Data, d.Checksum = nil, ""
	}
	return d
}
