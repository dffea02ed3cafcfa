package sessionstore

import (
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/clientaddr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	maxSubjectBytes   = 255 // OpenID Connect Core §2: sub has at most this
	maxLabelBytes     = 200
	maxUserAgentBytes = 512
)

// Session is what is stored of a session.
type Session struct {
	ID uuid.UUID
	// Subject is the user; empty for a session without one.
	Subject string
	// ClientID is the client that the session's tokens are issued to.
	ClientID string
	// Data is the session's JSON object, with the numbers as written. It is nil in
	// lists.
	Data []byte
	// Checksum identifies the data's content: [Store.Update] requires it. It is
	// empty in lists.
	Checksum string
	// Claims are the session's own claims, a JSON object in the form of
	// [tokens.CustomClaims]. It is nil for none, and in lists.
	Claims []byte
	// Context is how the user authenticated, who acts for them, and which cookie the tokens
	// may come in.
	tokens.Context
	// Client is what was known about the client when the session was created,
	// LastClient what is known about the one that got the present pair by a
	// refresh.
	Client, LastClient   Client
	CreatedAt, UpdatedAt time.Time
	// RefreshedAt is when a pair was last issued by a refresh; zero for never.
	RefreshedAt time.Time
	// ExpiresAt is when the session ends if it is not refreshed again.
	ExpiresAt time.Time
	// RevokedAt is zero while the session is not revoked.
	RevokedAt time.Time
	// Ended says how it ended, including by expiry. It is zero while the session lives.
	Ended Ending
}

// LogValue leaves out the data and the claims.
func (s Session) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", s.ID.String()), slog.Time("created_at", s.CreatedAt))
}

// Client is what a device list shows of a client.
type Client struct {
	// Label is a name that the application chose, cut off at 200 bytes. A refresh
	// keeps none.
	Label string `json:"label,omitempty"`
	// UserAgent is cut off at 512 bytes.
	UserAgent string `json:"user_agent,omitempty"`
	// IP is an IPv4 or IPv6 address. A port and a zone are left out, and so is
	// anything that is not an address.
	IP string `json:"ip,omitempty"`
}

// CreateParams describes a new session.
type CreateParams struct {
	// Subject is the user, up to 255 bytes. Empty means a session without one.
	Subject string
	// ClientID is the client that the session is for, one of [Store.ClientIDs]. Empty means
	// the first.
	ClientID string
	// Data is a JSON object of up to [MaxDataBytes]. Empty means {}.
	Data []byte
	// Claims are members of the session's access tokens in addition to ours: a JSON
	// object of up to [tokens.MaxCustomBytes], as [tokens.CustomClaims] takes it. Empty
	// means none.
	Claims []byte
	// Authentication is how and when the user authenticated, as access tokens and
	// sessions say from then on. AuthTime may be up to a minute ahead of the database's
	// clock. Nil means that nothing is known; it is never filled in.
	Authentication *tokens.Authentication
	// Actor is who acts for the subject, as access tokens, sessions and the audit trail
	// say. Nil means that they act for themselves.
	Actor *tokens.Actor
	// Cookie is the name of the one cookie that the tokens may come in: see
	// [tokens.Context]. It is for programs that keep tokens in cookies, such as package
	// sessionhttp's; empty means that the tokens may come from anywhere.
	Cookie string
	// NoRefresh makes a session without a refresh token: it ends with its only
	// access token, and Lifetimes has no RefreshToken.
	NoRefresh bool
	// Client is what is known about the client.
	Client Client
	// Lifetimes differ from the store's where they are not zero.
	Lifetimes Lifetimes
	// KeyThumbprint binds the session to a key of its client (RFC 9449 §6.1): the
	// RFC 7638 SHA-256 thumbprint in base64url. Empty means bearer tokens, until the
	// first refresh with a proof: see [Store.RefreshTokensWithProof].
	KeyThumbprint string
	// IdempotencyKey, if set, identifies this creation to the caller: see
	// [Store.Create]. It has up to 1024 bytes, must be unique among all callers of the
	// database, and is known for as long as the session's row exists.
	IdempotencyKey string
	// Elsewhere is how many live sessions the subject has on other shards: they count
	// towards [Config].SessionsPerSubject. Zero if all sessions are in one database.
	Elsewhere int
}

// TokenPair is what a client holds of a session. In a session without a refresh
// token, RefreshToken is empty, and its expiry zero.
type TokenPair struct {
	AccessToken, RefreshToken                   tokens.Secret
	AccessTokenExpiresAt, RefreshTokenExpiresAt time.Time
	// AnsweredAt is the database's time when it handed out this pair.
	AnsweredAt time.Time
	// KeyThumbprint is that of the client's key which the pair is bound to; empty
	// for bearer tokens.
	KeyThumbprint string
	// Scope is the session's, one of its own claims; empty for none.
	Scope string
}

// ExpiresIn is how long the access token is valid, in whole seconds.
func (p TokenPair) ExpiresIn() time.Duration {
	return wholeSeconds(p.AccessTokenExpiresAt, p.AnsweredAt)
}

// RefreshExpiresIn is how long the refresh token is valid, in whole seconds.
func (p TokenPair) RefreshExpiresIn() time.Duration {
	return wholeSeconds(p.RefreshTokenExpiresAt, p.AnsweredAt)
}

func wholeSeconds(end, now time.Time) time.Duration {
	// Both rounded down, as the token's own times are: a token of 5 minutes lasts 300 s.
	return max(0, end.Truncate(time.Second).Sub(now.Truncate(time.Second)))
}

// clean returns the client in a form that can be stored. The description of a client decides nothing, so it is never a
// reason to refuse: whatever cannot be read is left out.
func (c Client) clean() Client {
	c.Label, c.UserAgent = cutText(c.Label, maxLabelBytes), cutText(c.UserAgent, maxUserAgentBytes)
	_, c.IP, _ = clientaddr.ParseText(c.IP)
	return c
}
