package sessionstore

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/era"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

// maxEndedByBytes leaves room for a subject, a session's id, a key's name or user@host.
const maxEndedByBytes = 255

// Reason says why a session ended.
type Reason string

// Why sessions end. The comments say what [Cause].By is for each.
const (
	// ReasonSignedOut: with one of its own tokens. By is the session's id.
	ReasonSignedOut Reason = "signed_out"
	// ReasonSignedOutElsewhere: by its user, from another session, whose id By is.
	ReasonSignedOutElsewhere Reason = "signed_out_elsewhere"
	// ReasonSignedOutEverywhere: by its user, with their other sessions. By is the id of
	// the session that asked.
	ReasonSignedOutEverywhere Reason = "signed_out_everywhere"
	// ReasonBackend: by the application. By is the name of its service key.
	ReasonBackend Reason = "backend"
	// ReasonGlobalRevocation: with all sessions of its subject, by an outside party such as an
	// identity provider. By is the name of its service key.
	ReasonGlobalRevocation Reason = "global_revocation"
	// ReasonOperator: at a command line or on the operators' page. By is user@host, or the
	// name of the operator's key.
	ReasonOperator Reason = "operator"
	// ReasonAllSignedOut: together with all sessions. By is user@host.
	ReasonAllSignedOut Reason = "all_signed_out"
	// ReasonLimit: its subject had more sessions than it may. By is the id of the session
	// that was created, or empty if this one would have been refused, but a shard was down.
	ReasonLimit Reason = "limit"
	// ReasonReplaced: another session took its place, whose id By is.
	ReasonReplaced Reason = "replaced"
	// ReasonTheft: a refresh token came back that two parties held. By is the [Theft].
	ReasonTheft Reason = "theft"
	// ReasonMaxAge: cleanup ended it because of its age. By is empty.
	ReasonMaxAge Reason = "max_age"
	// ReasonIdle: it was not refreshed in time. Nobody ended it, and By is empty.
	ReasonIdle Reason = "idle"
	// ReasonExpired: its absolute end came. By is empty.
	ReasonExpired Reason = "expired"
	// ReasonNotRecorded: it was ended by a program that does not record why, or directly in the database.
	ReasonNotRecorded Reason = "not_recorded"
)

// Cause says why a session ends, and who or what ends it.
type Cause struct {
	// Reason is one of those that callers may give: any but [ReasonIdle], [ReasonExpired]
	// and [ReasonNotRecorded]. Empty means [ReasonBackend].
	Reason Reason
	// By identifies who or what ended it, cut off at 255 bytes; empty where that is not known.
	// See the reasons.
	By string
}

// SignedOut is the cause for a session that is ended with one of its own tokens.
func SignedOut(id uuid.UUID) Cause { return Cause{ReasonSignedOut, id.String()} }

// Ending is how a session ended.
type Ending struct {
	Cause

	// At is when. It is zero while the session lives.
	At time.Time
}

// givenReasons are those that a caller may give.
var givenReasons = []Reason{
	ReasonSignedOut, ReasonSignedOutElsewhere, ReasonSignedOutEverywhere, ReasonBackend, ReasonGlobalRevocation, ReasonOperator,
	ReasonAllSignedOut, ReasonLimit, ReasonReplaced, ReasonTheft, ReasonMaxAge,
}

// causeOf returns the cause that a caller gave, or byDefault.
func causeOf(given []Cause, byDefault Reason) (Cause, error) {
	var c Cause
	switch len(given) {
	case 0:
	case 1:
		c = given[0]
	default:
		return c, argumentError("cause", "more than one")
	}
	c.Reason = cmp.Or(c.Reason, byDefault)
	if !slices.Contains(givenReasons, c.Reason) {
		return c, argumentError("reason", "%q is not one that a caller may give", c.Reason)
	}
	c.By = cutText(c.By, maxEndedByBytes) // a long name must not keep anyone signed in
	return c, nil
}

// expiry is the reason of a session that nothing ended, with the token row r: the
// pair never lives longer than the session.
const expiry = `CASE WHEN r."sessionExpiresAt" <= r."expiresAt" THEN '` + string(ReasonExpired) + `' ELSE '` + string(ReasonIdle) + `' END`

// currentEraQuery returns 0 for the first.
const currentEraQuery = `SELECT COALESCE(` + era.Current + `, 0)`

// ofThisEra is false of a token row r if everyone was signed out since its session began.
const ofThisEra = `COALESCE(r."era", 0)` + era.Continues

// endOfEra continues token rows r: when everyone was signed out for the first time after their
// sessions began, why, and by whom; nulls if that has not happened.
const endOfEra = `LEFT JOIN LATERAL (
  SELECT "at", "reason", "by" FROM "sessionStoreEra" WHERE "era" > COALESCE(r."era", 0) ORDER BY "era" LIMIT 1
) ended ON true`

// endingColumns are what scanEnding reads, of "sessionStore" as s and of its token row
// as r, followed by endOfEra. Ending a session again changes nothing, and revoking an expired
// session does not end it: it had already ended. Only with a
// theft can its pair be newer than its row, as after a restore.
const endingColumns = `CASE WHEN ` + wasSignedOut + ` THEN GREATEST(ended."at", s."createdAt") WHEN ` + wasEnded + ` THEN ` + wasEndedAt + ` WHEN r."expiresAt" <= now() THEN r."expiresAt" END,
  CASE WHEN ` + wasSignedOut + ` THEN ended."reason" WHEN ` + wasEnded + ` THEN COALESCE(s."endReason", '` + string(ReasonNotRecorded) + `') WHEN r."expiresAt" <= now() THEN ` + expiry + ` END,
  CASE WHEN ` + wasSignedOut + ` THEN ended."by" WHEN ` + wasEnded + ` THEN s."endedBy" END`

const (
	wasEndedAt = `COALESCE(s."revokedAt", r."revokedAt")`

	wasSignedOut = `(ended."at" <= r."expiresAt" AND (` + wasEndedAt + ` IS NULL OR ended."at" < ` + wasEndedAt + `))`

	wasEnded = `(` + wasEndedAt + ` <= r."expiresAt" OR ` + wasEndedAt + ` IS NOT NULL AND s."endReason" = '` + string(ReasonTheft) + `')`
)

// endingRow is what endingColumns are read into.
type endingRow struct {
	at         pgtype.Timestamptz
	reason, by pgtype.Text
}

func (e *endingRow) dest() []any { return []any{&e.at, &e.reason, &e.by} }

func (e *endingRow) ending() Ending {
	return Ending{At: e.at.Time, Cause: Cause{Reason(e.reason.String), e.by.String}}
}

// by is the column's value.
func (c Cause) by() *string { return pgvalue.OrNull(c.By) }
