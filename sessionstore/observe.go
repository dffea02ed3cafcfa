package sessionstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Observer is notified of what a store does, for metrics and traces: see
// [Config].Observers. It is called during each operation, concurrently, so it must
// not block.
type Observer interface {
	// Begin is called when an operation begins, and returns the context in which it
	// continues: the given one, or one derived from it.
	Begin(ctx context.Context, operation Operation) context.Context
	// End is called when the operation has ended, with the context that Begin returned.
	End(ctx context.Context, result Result)
}

// Operation is what a [Store] was called to do.
type Operation string

// The operations that observers are notified of.
const (
	OperationCreate    Operation = "create"     // Create, Replace
	OperationGet       Operation = "get"        // Get
	OperationLoad      Operation = "load"       // Load, LoadClaims, History, Theft
	OperationList      Operation = "list"       // List, Find, Subjects, Thefts
	OperationRefresh   Operation = "refresh"    // RefreshTokens
	OperationUpdate    Operation = "update"     // Update
	OperationPatch     Operation = "patch"      // Patch, PatchOwn
	OperationSetClaims Operation = "set_claims" // SetClaims
	OperationRevoke    Operation = "revoke"     // Invalidate, InvalidateOwn, InvalidateSubject, SignOutAll, RevokeSignedOut, InvalidateAll; RevokeToken, which calls them
)

// Operations lists them all.
func Operations() []Operation {
	return []Operation{
		OperationCreate, OperationGet, OperationLoad, OperationList,
		OperationRefresh, OperationUpdate, OperationPatch, OperationSetClaims, OperationRevoke,
	}
}

// Result is the result of an operation. It contains no secret, unless the
// database's error does.
type Result struct {
	Operation Operation
	// Err is what the caller gets.
	Err error
	// Outcome is that of a refresh that returned a pair, which Err does not show.
	Outcome Outcome
	// Revoked is how many sessions were ended, not counting those that had been
	// revoked before. A creation ends some if its subject has too many. A refresh
	// that ends its session has a [ReuseError] instead.
	Revoked int64
	// RevokedByClient are the same by the id of their client, where several may have ended
	// at once; nil if none did. Ids may be those of clients that are no longer configured.
	RevokedByClient map[string]int64
	// Changed is the session that was created, written or ended, and Err does not
	// undo that: it is committed. Zero if none was, or several were.
	Changed uuid.UUID
	// Subject is the user of Changed, or whose sessions were ended; empty for none,
	// where Revoked counts several subjects' sessions, and after an update, which
	// does not read the subject.
	Subject string
	// ClientID is the client of Changed, or of the session that was refreshed; empty if
	// the operation did not read it: after a refusal and an update, and where several
	// sessions were ended, which RevokedByClient counts.
	ClientID string
	// Replaced is the session that ended because Changed took its place, which Revoked
	// does not count; zero for none.
	Replaced uuid.UUID
	// ReplacedSubject and ReplacedClientID are the user and the client of Replaced.
	ReplacedSubject, ReplacedClientID string
	// Actor is who acts for the subject in the session that was created, or ended alone; nil
	// for none.
	Actor *tokens.Actor
	// Kept is the subject's one session that was to stay.
	Kept uuid.UUID
	// Everyone is true if everyone was signed out at once. Revoked does not count the
	// sessions that ended by that alone.
	Everyone bool
}
