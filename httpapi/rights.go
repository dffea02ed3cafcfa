package httpapi

import "slices"

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
