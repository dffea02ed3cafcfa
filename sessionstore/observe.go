package sessionstore

import (
	"context"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// Observer is told what a store does, for metrics and traces: see
// [Config].Observers. It is called during each operation, concurrently, and
// so must not block.
type Observer interface {
	// Begin is called when an operation begins, and returns the context in which it
	// goes on: the given one, or one that was made from it.
	Begin(ctx context.Context, operation Operation) context.Context
	// End is called when the operation has ended, with the context in which it went on.
	End(ctx context.Context, result Result)
}

// Operation is what a [Store] was asked to do.
type Operation string

// The operations that observers are told of.
const (
	OperationCreate    Operation = "create"     // Create, Replace
	OperationGet       Operation = "get"        // Get
	OperationLoad      Operation = "load"       // Load, LoadClaims, History, Theft
	OperationList      Operation = "list"       // List, Find, Subjects, Thefts
	OperationRefresh   Operation = "refresh"    // RefreshTokens
	OperationUpdate    Operation = "update"     // Update
	OperationPatch     Operation = "patch"      // Patch, PatchOwn
	OperationSetClaims Operation = "set_claims" // SetClaims
	OperationRevoke    Operation = "revoke"     // Invalidate, InvalidateOwn, InvalidateSubject, InvalidateAll; RevokeToken by way of them
)

// Operations lists them all.
func Operations() []Operation {
	return []Operation{
		OperationCreate, OperationGet, OperationLoad, OperationList,
		OperationRefresh, OperationUpdate, OperationPatch, OperationSetClaims, OperationRevoke,
	}
}

// Result is what came of an operation. It has no secret, unless the error that a
// database gave has one.
type Result struct {
	Operation Operation
	// Err is what the caller gets.
	Err error
	// Outcome is that of a refresh which Err does not tell of: it gave a pair.
	Outcome Outcome
	// Revoked is how many sessions were ended, those not counted that had been
	// revoked before. A creation ends some where its subject has too many. A refresh
	// that ends its session has a [ReuseError] instead.
	Revoked int64
	// RevokedByClient are the same by the id of their client, where several may have ended
	// at once; nil where none did. Ids may be those of clients that are not configured any
	// more.
	RevokedByClient map[string]int64
	// Changed is the session that was created, written or ended, and Err does not
	// take that back: it is committed. Zero where none was, or several were.
	Changed uuid.UUID
	// Subject is the user of Changed, or whose sessions were ended; empty for none,
	// where Revoked has several for everybody's, and after an update, which does
	// not ask whose it is.
	Subject string
	// ClientID is the client of Changed, or of the session that was refreshed; empty where
	// the operation did not find out: after a refusal and an update, and where several
	// sessions were ended, of which RevokedByClient tells.
	ClientID string
	// Replaced is the session that ended because Changed took its place, which Revoked
	// does not count; zero for none.
	Replaced uuid.UUID
	// ReplacedSubject and ReplacedClientID are the user and the client of Replaced.
	ReplacedSubject, ReplacedClientID string
	// Actor is who acts for the subject in the session that was created, or ended alone; nil
	// for nobody.
	Actor *tokens.Actor
	// Kept is the one session of the subject that was not to be ended.
	Kept uuid.UUID
}
