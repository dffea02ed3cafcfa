package verifier

// verdict is what the set knows about a session.
type verdict int

const (
	unknown verdict = iota // too old to decide
	live
	revoked
)
