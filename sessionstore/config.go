package sessionstore

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Defaults of [Config].
const (
	DefaultAccessTokenTTL  = 5 * time.Minute
	DefaultRefreshTokenTTL = 720 * time.Hour
	DefaultGrace           = 15 * time.Second
	DefaultLateRetryLimit  = refresh.DefaultLateRetryLimit
)

// MaxAccessTokenTTL bounds an access token's lifetime, and so how long a
// verifier must remember that its session was revoked.
const MaxAccessTokenTTL = refresh.MaxAccessTokenTTL

// MaxLifetime bounds every lifetime: the columns cannot hold more.
const MaxLifetime = refresh.MaxLifetime

// Config says how sessions live.
type Config struct {
	// Tokens says who issues the tokens and for whom: its Audience and its ClientID are
	// those of the first client.
	Tokens tokens.Config
	// Clients are further clients. A session belongs to one client permanently. None by
	// default.
	Clients []OAuthClient
	// Lifetimes are the defaults of all sessions. Zero members mean 5 minutes
	// for the access token, 720 hours for the refresh token, none for the session.
	Lifetimes Lifetimes
	// LifetimesFor, if set, computes the lifetimes of a session when it is
	// created; zero members mean the default. Lifetimes that [CreateParams]
	// gives come first. They are stored with the session: no refresh calls this. Lifetimes
	// that are out of bounds are an error of the program, and not an [ArgumentError]. For what
	// it costs a replacement, see [Store.Replace].
	LifetimesFor func(CreateParams) Lifetimes
	// ClaimsFor, if set, returns the claims of a session that is created without any; {}
	// asks for none, and this is not called. They are stored with the session: no refresh
	// calls this, and [Store.SetClaims] replaces them. Each such creation waits for it, even
	// a repeated one that returns an existing session. Its error is the creation's: return
	// [ErrUnavailable] if the creation may be retried. Claims that [tokens.CustomClaims]
	// refuses are an error of the program, and not an [ArgumentError]. Sessions of Compas
	// that are taken over have none until they are set.
	ClaimsFor func(context.Context, CreateParams) ([]byte, error)
	// PairFor, if set, is called at each refresh, and returns the current claims and lifetimes
	// for the next pair. They are stored with the pair, so that a repeated refresh gets the
	// same tokens; the first pair has those of [CreateParams], LifetimesFor and ClaimsFor. It
	// adds its time to each refresh, even to one that returns the same pair again, for which
	// its result is unused; the refresh remains one shared statement. It may be called
	// concurrently, and on behalf of anyone with a token of the session, even an old or a
	// stolen one. If it fails, or returns something unusable, the refresh is [ErrUnavailable]:
	// nothing has changed, and the token is as valid as before.
	PairFor func(context.Context, PairRequest) (PairParams, error)
	// Bounds are the limits on every session's lifetimes, including the defaults.
	Bounds Bounds
	// Grace is how long a replaced refresh token still yields its successor
	// (see docs/refresh.md). Zero means 15 s. It should be longer than the clients'
	// time-outs, and must be shorter than a third of any access token's lifetime.
	Grace time.Duration
	// LateRetryLimit is the number of consecutive generations in which a lost
	// response may be recovered after the grace. Zero means 8.
	LateRetryLimit int
	// RefuseReplaced refuses an access token as soon as its successor exists. By
	// default it is accepted for Grace longer, because requests with it may be under
	// way, but never after its session was revoked.
	RefuseReplaced bool
	// SessionsPerSubject is how many live sessions a subject may have, counted
	// exactly, however many are created at once. Sessions without a subject, and those
	// that have expired, do not count. Lowering the limit ends nothing until the next
	// creation. Zero means any number.
	SessionsPerSubject int
	// SessionsPerSubjectAction says what happens to a creation at that limit.
	// Empty means [EndOldest].
	SessionsPerSubjectAction LimitAction
	// CompasSigningKey, if set, is the signingKey of the Compas application
	// whose tables the database has: its tokens are then accepted.
	CompasSigningKey tokens.Secret
	// Direct, if set, makes connections that bypass the pooler in transaction mode
	// to which the store's pool leads: the verifier listens for revocations on one.
	Direct *pgxpool.Pool
	// Sealer, if set, seals session data before it is stored. Data that was stored
	// unsealed is read as before, and sealed when it is next written.
	Sealer Sealer
	// SealedOnly refuses data that is stored unsealed, with a [SealedError]: so that
	// someone who can write to the database, but has no key, cannot replace sealed
	// data. It requires a Sealer, and that all data is sealed: see [Store.Reseal].
	SealedOnly bool
	// Shard is the number of this database among those that sessions are spread over, up to
	// 4095: it is part of its sessions' ids. Zero means the first, or the only one.
	Shard int
	// Leaks, if set, takes a report of each refresh token that was stolen.
	Leaks LeakQueue
	// Observers are notified of what the store does. None by default.
	Observers []Observer
}

// OAuthClient is an application whose sessions differ from others' (RFC 6749 §2). It is
// public: it has an id, and no secret.
type OAuthClient struct {
	// ID is the client_id of its access tokens. Required.
	ID string
	// Audiences are the resource servers that its access tokens are for. None means those
	// of the first client.
	Audiences []string
	// Lifetimes are those of its new sessions, each of which keeps them. Zero members mean
	// the store's defaults, which are not kept.
	Lifetimes Lifetimes
	// RequireProof makes each refresh prove possession of the client's key (RFC 9449), and
	// so each creation must name the key.
	RequireProof bool

	argument any // the ID as an argument of statements
}

// Bounds are the minimum and maximum lifetimes. Zero members mean no bounds other than
// those that all [Lifetimes] have. A maximum for the session also requires an absolute
// end, and one for the refresh token an idle timeout.
type Bounds struct{ Min, Max Lifetimes }

// PairRequest is what is known about a refresh before the database is queried.
type PairRequest struct {
	SessionID uuid.UUID
	// Subject is empty for a session without one, and for one of Compas that has not been
	// refreshed here before.
	Subject string
	// Client describes the client that refreshes.
	Client Client
}

// PairParams are the properties of a new pair. Zero members leave them unchanged.
type PairParams struct {
	// Claims replace the session's own claims; {} removes them. How its user authenticated
	// and who acts for them stay.
	Claims []byte
	// AccessTokenTTL and RefreshTokenTTL are the session's from now on. Both must be
	// given, or neither, within [Config].Bounds. There must be an idle timeout. A shorter
	// one counts from the next refresh on, but no session idles out within a day of an
	// access token that was issued before, since that may have been issued for that long.
	AccessTokenTTL, RefreshTokenTTL time.Duration
}

// LimitAction says what happens to a creation if a subject has as many live
// sessions as [Config].SessionsPerSubject allows.
type LimitAction string

const (
	// EndOldest revokes those of the subject's sessions that were created first, as
	// many as necessary: [Store.Invalidate] for each of them.
	EndOldest LimitAction = "end_oldest"
	// RefuseNew refuses the creation with [ErrTooManySessions].
	RefuseNew LimitAction = "refuse"
)
