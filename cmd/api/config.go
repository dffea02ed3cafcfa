package main

import (
	"strconv"
	"time"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	// minRetention keeps a revoked session until its last access token has expired: verifiers that start meanwhile must
	// learn of it.
	minRetention = duration(sessionstore.MaxAccessTokenTTL + time.Hour)
	minMaxAge    = duration(time.Hour)
)

// databaseSettings say where the sessions are. Every command that asks the database has them.
type databaseSettings struct {
	DatabaseURL       databaseURL `name:"database-url" group:"database" placeholder:"URL" help:"PostgreSQL to use, as any libpq URL. Without it a private one runs below VAR_DIR."`
	DirectDatabaseURL databaseURL `name:"direct-database-url" group:"database" placeholder:"URL" help:"The same database without the pooler, where DATABASE_URL is a PgBouncer in transaction mode. By default there is none."`
	VarDir            text        `name:"var-dir" group:"database" placeholder:"DIR" default:"./var" help:"Where the private PostgreSQL and the keys made for it live."`
}

// logSettings say what is logged, and how.
type logSettings struct {
	LogLevel  logLevel  `name:"log-level" group:"log" placeholder:"LEVEL" default:"info" help:"What is logged at least: debug, info, warn or error."`
	LogFormat logFormat `name:"log-format" group:"log" placeholder:"FORMAT" help:"How: text or json. By default text on a terminal, else json."`
}

// auditSettings say where audit events go. Every command has them that changes something which is audited.
type auditSettings struct {
	AuditLog auditTarget `name:"audit-log" group:"log" placeholder:"FILE" default:"none" help:"Where a line of JSON is written for each session that is created, updated or ended: none, stdout or a file."`
}

// retentionSettings say what cleanup leaves alone. The cleanup command and the built-in schedule share them.
type retentionSettings struct {
	CleanupRetention     duration `name:"cleanup-retention" group:"cleanup" placeholder:"DURATION" default:"336h" help:"How long an ended session is kept."`
	CleanupSessionMaxAge duration `name:"cleanup-session-max-age" group:"cleanup" placeholder:"DURATION" help:"Age past which any session is removed. By default none."`
}

// settings are all settings of the service: flags, environment variables of the same name, and their help.
type settings struct {
	databaseSettings

	PublicAddr       address  `name:"public-addr" group:"http" placeholder:"HOST:PORT" default:":8080" help:"Listener that browsers and apps may reach."`
	InternalAddr     address  `name:"internal-addr" group:"http" placeholder:"HOST:PORT" default:"127.0.0.1:8081" help:"Listener for your own backends and operators."`
	CORSOrigins      origins  `name:"cors-origins" group:"http" placeholder:"ORIGIN,..." help:"Exact origins of the browser apps that may call the public listener. By default none."`
	RateLimit        count    `name:"rate-limit" group:"http" placeholder:"N" default:"0" help:"Requests a minute for each client address on the public listener; 0: no limit."`
	RateLimitSession count    `name:"rate-limit-session" group:"http" placeholder:"N" default:"0" help:"Requests a minute with tokens of one session on the public listener, from any address; 0: no limit."`
	DPoPNonce        toggle   `name:"dpop-nonce" group:"http" placeholder:"BOOL" default:"false" help:"Whether proofs of possession (DPoP) need a nonce of the service: =true or =false."`
	TrustedProxies   prefixes `name:"trusted-proxies" group:"http" placeholder:"NETWORK,..." help:"Proxies whose X-Forwarded-For is believed. By default none."`

	Issuer          issuer `name:"issuer" group:"tokens" placeholder:"URL" help:"The tokens' iss, and the address of the public listener for its clients. By default made from PUBLIC_ADDR."`
	Audience        text   `name:"audience" group:"tokens" placeholder:"NAME" default:"latchkey" help:"The access tokens' aud."`
	ClientID        text   `name:"client-id" group:"tokens" placeholder:"NAME" default:"latchkey" help:"The access tokens' client_id."`
	SigningKeysFile text   `name:"signing-keys-file" group:"tokens" placeholder:"FILE" help:"Private JWK set: its first key signs, all verify. Made in VAR_DIR for the private PostgreSQL, else required without KEY_ENCRYPTION_KEY."`
	keystoreSettings
	KeyRotationInterval duration `name:"key-rotation-interval" group:"tokens" placeholder:"DURATION" default:"720h" help:"How long a key in PostgreSQL signs until it is replaced; 0: until api keys rotate."`

	dataSettings

	ServiceKeys     serviceKeys `name:"service-keys" group:"tokens" placeholder:"NAME:SECRET,..." help:"Keys of your backends for the internal listener. Made in VAR_DIR for the private PostgreSQL, else required."`
	ServiceKeysFile text        `name:"service-keys-file" group:"tokens" placeholder:"FILE" help:"File that holds them, instead of SERVICE_KEYS."`

	CompasSigningKey compasKey `name:"compas-signing-key" group:"tokens" placeholder:"SECRET" help:"The signingKey of the Compas application whose tables DATABASE_URL has: its tokens go on working. By default none do."`

	AccessTokenTTL  duration `name:"access-token-ttl" group:"sessions" placeholder:"DURATION" default:"5m" help:"How long an access token is valid."`
	RefreshTokenTTL duration `name:"refresh-token-ttl" group:"sessions" placeholder:"DURATION" default:"720h" help:"How long a session lives without a refresh."`
	SessionTTL      duration `name:"session-ttl" group:"sessions" placeholder:"DURATION" help:"How long a session lives in spite of refreshes. By default without end."`
	RefreshGrace    duration `name:"refresh-grace" group:"sessions" placeholder:"DURATION" default:"15s" help:"How long a rotated refresh token may come again. Set it above the clients' time-outs."`
	LateRetryLimit  count    `name:"late-retry-limit" group:"sessions" placeholder:"N" default:"8" help:"Generations in a row in which a refresh token may come again later than that."`

	SessionsPerSubject       count       `name:"sessions-per-subject" group:"sessions" placeholder:"N" default:"0" help:"Live sessions that a subject may have; 0: any number."`
	SessionsPerSubjectAction limitAction `name:"sessions-per-subject-action" group:"sessions" placeholder:"ACTION" default:"end_oldest" help:"What a sign-in does at that limit: end_oldest ends the subject's oldest sessions, refuse creates none."`

	RevocationBound duration `name:"revocation-bound" group:"sessions" placeholder:"DURATION" default:"1s" help:"How long a revoked session's access token may still be accepted without a database read, at worst. Normally milliseconds."`

	LeakWebhookURL    webhookURL    `name:"leak-webhook-url" group:"leaks" placeholder:"URL" help:"Where a report is sent when a refresh token was stolen. By default it is only logged."`
	LeakWebhookSecret webhookSecret `name:"leak-webhook-secret" group:"leaks" placeholder:"SECRET" help:"What the reports are signed with (Standard Webhooks)."`

	CleanupInterval duration `name:"cleanup-interval" group:"cleanup" placeholder:"DURATION" default:"24h" help:"How often expired sessions are removed; 0: never."`
	retentionSettings

	logSettings
	auditSettings
}

// Validate checks each setting against the others; each alone was checked as it was read.
// A setting is named as its variable here: the flag has the same name.
func (s *settings) Validate() error {
	embedded := s.DatabaseURL == ""
	switch {
	case embedded && s.DirectDatabaseURL != "":
		return wrongTogether("DIRECT_DATABASE_URL is set and DATABASE_URL is not: it may be set beside a DATABASE_URL that leads to a PgBouncer")
	case s.PublicAddr == s.InternalAddr && !s.PublicAddr.anyPort():
		return wrong("INTERNAL_ADDR", quote(string(s.InternalAddr)), "any address but PUBLIC_ADDR's")
	case s.RefreshGrace == 0:
		return wrong("REFRESH_GRACE", s.RefreshGrace.String(), "a duration above 0, such as 15s")
	case s.AccessTokenTTL <= 3*s.RefreshGrace: // sessionstore: a pair is handed out again for so long
		return wrong("ACCESS_TOKEN_TTL", s.AccessTokenTTL.String(), "a duration above three times REFRESH_GRACE, which is "+s.RefreshGrace.String())
	case s.AccessTokenTTL > duration(sessionstore.MaxAccessTokenTTL):
		return wrong("ACCESS_TOKEN_TTL", s.AccessTokenTTL.String(), "a duration up to 24h")
	case s.RateLimitSession != 0 && time.Minute/time.Duration(s.RateLimitSession) >= time.Duration(s.RefreshGrace):
		return wrong("RATE_LIMIT_SESSION", strconv.Itoa(int(s.RateLimitSession)), "0 or a number above "+strconv.Itoa(int(time.Minute/time.Duration(s.RefreshGrace)))+": who is refused waits for a minute divided by it, which must be less than REFRESH_GRACE, "+s.RefreshGrace.String())
	case s.RevocationBound == 0:
		return wrong("REVOCATION_BOUND", s.RevocationBound.String(), "a duration of 1s or more")
	case s.RefreshTokenTTL <= s.AccessTokenTTL:
		return wrong("REFRESH_TOKEN_TTL", s.RefreshTokenTTL.String(), "a duration above ACCESS_TOKEN_TTL, which is "+s.AccessTokenTTL.String())
	case s.LateRetryLimit == 0:
		return wrong("LATE_RETRY_LIMIT", "0", "a number from 1 on")
	case (s.LeakWebhookURL == "") != (s.LeakWebhookSecret == ""):
		return wrongTogether("LEAK_WEBHOOK_URL and LEAK_WEBHOOK_SECRET: only one of them is set; both may be, or none")
	case len(s.ServiceKeys) > 0 && s.ServiceKeysFile != "":
		return wrongTogether("SERVICE_KEYS and SERVICE_KEYS_FILE are both set; one of them may be")
	case s.KeyRotationInterval != 0 && s.KeyRotationInterval < minKeyRotation:
		return wrong("KEY_ROTATION_INTERVAL", s.KeyRotationInterval.String(), "a duration of 1h or more, or 0 for none")
	case !embedded && s.SigningKeysFile == "" && len(s.KeyEncryptionKey) == 0:
		return wrong("SIGNING_KEYS_FILE", "not set", "a file that `api keys init` or `api keys generate` made, or nothing where KEY_ENCRYPTION_KEY is set; DATABASE_URL is set, so none is made by itself")
	case !embedded && len(s.ServiceKeys) == 0 && s.ServiceKeysFile == "":
		return wrong("SERVICE_KEYS", "not set", serviceKeysForm+"; DATABASE_URL is set, so none is made by itself")
	}
	if err := s.dataSettings.check(); err != nil {
		return err
	}
	return s.retentionSettings.check()
}

func (s retentionSettings) check() error {
	switch {
	case s.CleanupRetention < minRetention:
		return wrong("CLEANUP_RETENTION", s.CleanupRetention.String(), "a duration of 25h or more")
	case s.CleanupSessionMaxAge != 0 && s.CleanupSessionMaxAge < minMaxAge:
		return wrong("CLEANUP_SESSION_MAX_AGE", s.CleanupSessionMaxAge.String(), "a duration of 1h or more, or 0 for none")
	}
	return nil
}

func (s retentionSettings) cleanup() cleanup.Config {
	return cleanup.Config{Retention: time.Duration(s.CleanupRetention), SessionMaxAge: time.Duration(s.CleanupSessionMaxAge)}
}

func (s *settings) store(issuer string) sessionstore.Config {
	return sessionstore.Config{
		Tokens: tokens.Config{Issuer: issuer, Audience: string(s.Audience), ClientID: string(s.ClientID)},
		Lifetimes: sessionstore.Lifetimes{
			AccessToken:  time.Duration(s.AccessTokenTTL),
			RefreshToken: time.Duration(s.RefreshTokenTTL),
			Session:      time.Duration(s.SessionTTL),
		},
		Grace:          time.Duration(s.RefreshGrace),
		LateRetryLimit: int(s.LateRetryLimit),

		SessionsPerSubject:       int(s.SessionsPerSubject),
		SessionsPerSubjectAction: sessionstore.LimitAction(s.SessionsPerSubjectAction),

		CompasSigningKey: tokens.Secret(s.CompasSigningKey),
	}
}
