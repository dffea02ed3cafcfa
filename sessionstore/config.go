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

// MaxAccessTokenTTL bounds an access token's lifetime, and so for how long a
// verifier must remember that its session was revoked.
const MaxAccessTokenTTL = refresh.MaxAccessTokenTTL

// MaxLifetime bounds every lifetime: the columns cannot hold more.
const MaxLifetime = refresh.MaxLifetime

// Config says how sessions live.
type Config struct {
	// Tokens says who issues the tokens and for whom: its Audience and its ClientID are
	// those of the first client.
	Tokens tokens.Config
	// Clients are further clients. A session is of one of them for good. None by default.
	Clients []OAuthClient
	// Lifetimes are the defaults of all sessions. Zero members mean 5 minutes
	// for the access token, 720 hours for the refresh token, none for the session.
	Lifetimes Lifetimes
	// LifetimesFor, if set, computes the lifetimes of a session when it is
	// created; zero members mean the default. Lifetimes that [CreateParams]
	// gives come first. They are kept with the session: no refresh calls this. Lifetimes that
	// are out of bounds are an error of the program, and not an [ArgumentError]. What it costs
	// a replacement: see [Store.Replace].
	LifetimesFor func(CreateParams) Lifetimes
	// ClaimsFor, if set, returns the claims of a session that is created without any: with
	// {} it is to have none, and this is not called. They are kept with the session: no
	// refresh calls this, and [Store.SetClaims] replaces them. Each such creation waits for
	// it, also one that is sent again and gives a session that is there. Its error is the
	// creation's: [ErrUnavailable] is for what may be tried again. Claims that
	// [tokens.CustomClaims] refuses are an error of the program, and not an [ArgumentError].
	// Sessions of Compas that are taken over have none until they are set.
	ClaimsFor func(context.Context, CreateParams) ([]byte, error)
	// PairFor, if set, is asked at each refresh what the next pair is to have: the claims and
	// lifetimes as they are now. They are kept with the pair, so that a refresh that is sent
	// again gets the same tokens; the first pair has those of [CreateParams], LifetimesFor and
	// ClaimsFor. It costs each refresh the time that it takes, also one that gives the same
	// pair again, for which the answer is of no use; the statement stays one, and shared. It
	// may be called by many goroutines, and by whoever has a token of the session, an old or
	// a stolen one too. Where it fails, or what it returns cannot be used, the refresh is
	// [ErrUnavailable]: nothing has changed, and the token is as good as before.
	PairFor func(context.Context, PairRequest) (PairParams, error)
	// Bounds are what the lifetimes of each session must keep to, the defaults too.
	Bounds Bounds
	// Grace is how long a replaced refresh token still yields its successor
	// (see docs/refresh.md). Zero means 15 s. It should be longer than the clients'
	// time-outs, and must be shorter than a third of any access token's lifetime.
	Grace time.Duration
	// LateRetryLimit is in how many generations in a row a lost response may
	// be made good for after the grace. Zero means 8.
	LateRetryLimit int
	// RefuseReplaced refuses an access token as soon as its successor exists. By
	// default it is accepted for Grace longer, as requests with it may be under way,
	// but never after its session was revoked.
	RefuseReplaced bool
	// SessionsPerSubject is how many live sessions a subject may have, counted exactly
	// however many are created at once. Sessions without a subject, and those that
	// have expired, do not count. A lower limit than before ends nothing by itself:
	// the next creation does. Zero means any number.
	SessionsPerSubject int
	// SessionsPerSubjectAction is what becomes of a creation at that limit. Empty
	// means [EndOldest].
	SessionsPerSubjectAction LimitAction
	// CompasSigningKey, if set, is the signingKey of the Compas application
	// whose tables the database has: the tokens that it issued are then taken.
	CompasSigningKey tokens.Secret
	// Direct, if set, makes connections past a pooler in transaction mode, which the
	// store's pool leads to: the verifier is notified of revocations on one.
	Direct *pgxpool.Pool
	// Sealer, if set, seals session data before it is stored. Data that was stored
	// unsealed is read as before, and sealed when it is next written.
	Sealer Sealer
	// SealedOnly refuses data that is stored unsealed, with a [SealedError]: whoever
	// can write to the database, and has no key, cannot replace what is sealed. It
	// needs a Sealer, and that all data is sealed: see [Store.Reseal].
	SealedOnly bool
	// Shard is the number of this database among those that sessions are spread over, up to
	// 4095: the ids of its sessions have it. Zero means the first, or the only one.
	Shard int
	// Leaks, if set, takes a report of each refresh token that was stolen.
	Leaks LeakQueue
	// Observers are told what the store does. None by default.
	Observers []Observer
}

// OAuthClient is an application whose sessions differ from others' (RFC 6749 §2). It is
// public: it has an id, and no secret.
type OAuthClient struct {
	// ID is the client_id of its access tokens. Required.
	ID string
	// Audiences are whom its access tokens are for. None means those of the first client.
	Audiences []string
	// Lifetimes are those of its new sessions, each of which keeps them. Zero members mean
	// the store's defaults, which are not kept.
	Lifetimes Lifetimes
	// RequireProof has each refresh prove that the client has a key (RFC 9449), and so each
	// creation name the key.
	RequireProof bool

	argument any // the ID as an argument of statements
}

// Bounds are the least and the most that lifetimes may be. Zero members mean none but
// those that [Lifetimes] have anyway. A maximum of the session's is also a duty to have
// an end, and one of the refresh token's to have an idle timeout.
type Bounds struct{ Min, Max Lifetimes }

// PairRequest is what is known of a refresh before the database is asked.
type PairRequest struct {
	SessionID uuid.UUID
	// Subject is empty for a session without one, and for one of Compas that has not been
	// refreshed here before.
	Subject string
	// Client is what is known of who refreshes.
	Client Client
}

// PairParams are what a new pair is to have. What is zero stays as it is.
type PairParams struct {
	// Claims replace the session's own, {} by none. How its user authenticated and who acts
	// for them stay.
	Claims []byte
	// AccessTokenTTL and RefreshTokenTTL are the session's from now on. Both are given, or
	// neither, and they keep to [Config].Bounds. There must be an idle timeout. A shorter
	// one counts from the next refresh on, but no session idles out within a day of an
	// access token that was issued before, which may have been made to live for so long.
	AccessTokenTTL, RefreshTokenTTL time.Duration
}

// LimitAction says what becomes of a creation where a subject has as many live
// sessions as [Config].SessionsPerSubject allows.
type LimitAction string

const (
	// EndOldest revokes those of the subject's sessions that were created first, as
	// many as must go: [Store.Invalidate] for each of them.
	EndOldest LimitAction = "end_oldest"
	// RefuseNew refuses the creation with [ErrTooManySessions].
	RefuseNew LimitAction = "refuse"
)
