// Package settings has what may be set: flags, environment variables of the same name, and their help. This file declares
// them all; the others say what each may be. Settings that several commands share are a struct that the commands embed.
package settings

// Database say where the sessions are. Every command that asks the database has them. The tag deployment marks settings that
// only a service with a database of its own has: beside one of them [Database.Meant] takes no private one for granted.
type Database struct {
	DatabaseURL       databaseURL `name:"database-url" secret:"" group:"database" placeholder:"URL" help:"PostgreSQL to use, as any libpq URL. Without it, or with private, a private one runs below LATCHKEY_VAR_DIR."`
	DirectDatabaseURL databaseURL `name:"direct-database-url" secret:"" group:"database" deployment:"" placeholder:"URL" help:"The same database without the pooler, where LATCHKEY_DATABASE_URL is a PgBouncer in transaction mode. By default there is none."`
	VarDir            text        `name:"var-dir" group:"database" placeholder:"DIR" default:"./var" help:"Where the private PostgreSQL and the keys made for it live."`

	deployment string // the name of a setting that only a deployment has, if there is one
}

// Log say what is logged, and how.
type Log struct {
	LogLevel  logLevel  `name:"log-level" group:"log" placeholder:"LEVEL" default:"info" help:"What is logged at least: debug, info, warn or error."`
	LogFormat logFormat `name:"log-format" group:"log" placeholder:"FORMAT" help:"How: text or json. By default text on a terminal, else json."`
}

// Audit say where audit events go. Every command has them that changes something which is audited.
type Audit struct {
	AuditLog auditTarget `name:"audit-log" group:"log" placeholder:"FILE" default:"none" help:"Where a line of JSON is written for each session that is created, updated or ended: none, stdout or a file."`
}

// Retention say what cleanup leaves alone. The cleanup command and the built-in schedule share them.
type Retention struct {
	CleanupRetention     duration `name:"cleanup-retention" group:"cleanup" placeholder:"DURATION" default:"336h" help:"How long an ended session is kept."`
	CleanupSessionMaxAge duration `name:"cleanup-session-max-age" group:"cleanup" placeholder:"DURATION" help:"Age past which any session is ended. By default none."`
}

// StoredKeys say how signing keys in PostgreSQL are kept, if they are there.
type StoredKeys struct {
	KeyEncryptionKey sealingKeys  `name:"key-encryption-key" secret:"" group:"tokens" deployment:"" placeholder:"BASE64,..." help:"Keeps the signing keys in PostgreSQL, sealed with this: 32 random bytes in base64. Several may be given: the first seals, all open."`
	KeyAlgorithm     keyAlgorithm `name:"key-algorithm" group:"tokens" placeholder:"ALG" help:"Of new signing keys, in PostgreSQL or in LATCHKEY_VAR_DIR: EdDSA, ES256, RS256, PS256 or HS256. By default that of the key before, and ES256 for the first."`
}

// Data say what session data is sealed with, if it is.
type Data struct {
	DataEncryptionKeyset     dataKeyset `name:"data-encryption-keyset" group:"tokens" deployment:"" placeholder:"JSON" help:"Seals session data in PostgreSQL with these keys (${program} data keys generate): the primary one seals, all open. By default data is not sealed."`
	DataEncryptionKeysetFile text       `name:"data-encryption-keyset-file" group:"tokens" deployment:"" placeholder:"FILE" help:"File that holds them, instead of LATCHKEY_DATA_ENCRYPTION_KEYSET."`
}

// NewKeys say where `api keys init` makes keys.
type NewKeys struct {
	VarDir       text         `name:"var-dir" aliases:"dir" group:"database" placeholder:"DIR" default:"./var" help:"Where to make them: signing-keys.json and service-key (--dir is the same)."`
	KeyAlgorithm keyAlgorithm `name:"key-algorithm" aliases:"algorithm" group:"tokens" placeholder:"ALG" help:"Of a new signing key: EdDSA, ES256, RS256, PS256 or HS256 (--algorithm is the same). By default ES256."`
}

// ListedKeys say which file `api keys list` reads.
type ListedKeys struct {
	SigningKeysFile text `name:"signing-keys-file" aliases:"file" group:"tokens" placeholder:"FILE" help:"Private JWK set to list (--file is the same). By default the one in LATCHKEY_VAR_DIR."`
}

// Listener says where a service on this machine answers.
type Listener struct {
	InternalAddr address `name:"internal-addr" group:"http" placeholder:"HOST:PORT" default:"127.0.0.1:8081" help:"Its listener for your own backends and operators."`
}

// Serve are all settings of the service: flags, environment variables of the same name, and their help.
type Serve struct {
	Database

	PublicAddr       address  `name:"public-addr" group:"http" placeholder:"HOST:PORT" default:":8080" help:"Listener that browsers and apps may reach."`
	InternalAddr     address  `name:"internal-addr" group:"http" placeholder:"HOST:PORT" default:"127.0.0.1:8081" help:"Listener for your own backends and operators."`
	CORSOrigins      origins  `name:"cors-origins" group:"http" placeholder:"ORIGIN,..." help:"Exact origins of the browser apps that may call the public listener. By default none."`
	RateLimit        count    `name:"rate-limit" group:"http" placeholder:"N" default:"0" help:"Requests a minute for each client address on the public listener; 0: no limit."`
	RateLimitSession count    `name:"rate-limit-session" group:"http" placeholder:"N" default:"0" help:"Requests a minute with tokens of one session on the public listener, from any address; 0: no limit."`
	DPoPNonce        toggle   `name:"dpop-nonce" group:"http" placeholder:"BOOL" default:"false" help:"Whether proofs of possession (DPoP) need a nonce of the service: =true or =false."`
	DPoPWindow       duration `name:"dpop-window" group:"http" placeholder:"DURATION" default:"1m" help:"How far the time of a proof of possession without a nonce may be off. Beyond it, a client is asked for a nonce."`
	KeepAliveTimeout duration `name:"keep-alive-timeout" group:"http" placeholder:"DURATION" default:"2m" help:"How long a connection is kept open for another request. Set it above that of the load balancer in front."`
	ShutdownDelay    duration `name:"shutdown-delay" group:"http" placeholder:"DURATION" default:"0s" help:"How long requests are taken after SIGTERM, while /readyz says 503: as long as load balancers take to notice."`
	TrustedProxies   prefixes `name:"trusted-proxies" group:"http" deployment:"" placeholder:"NETWORK,..." help:"Proxies whose X-Forwarded-For is believed. By default none."`

	Issuer            issuer `name:"issuer" group:"tokens" deployment:"" placeholder:"URL" help:"The tokens' iss, and the address of the public listener for its clients. By default made from LATCHKEY_PUBLIC_ADDR."`
	Audience          text   `name:"audience" group:"tokens" placeholder:"NAME" default:"latchkey" help:"The access tokens' aud."`
	AudiencesAccepted names  `name:"audiences-accepted" group:"tokens" placeholder:"NAME,..." help:"Further auds that are accepted while LATCHKEY_AUDIENCE is changed replica by replica. By default none."`
	ClientID          text   `name:"client-id" group:"tokens" placeholder:"NAME" default:"latchkey" help:"The access tokens' client_id."`
	ClientsFile       text   `name:"clients-file" group:"tokens" placeholder:"FILE" help:"Further clients, a JSON array: their ids, audiences, origins and lifetimes. By default none but LATCHKEY_CLIENT_ID."`
	SigningKeysFile   text   `name:"signing-keys-file" group:"tokens" deployment:"" placeholder:"FILE" help:"Private JWK set: its first key signs, all verify. Made in LATCHKEY_VAR_DIR for the private PostgreSQL, else required without LATCHKEY_KEY_ENCRYPTION_KEY."`
	StoredKeys
	KeyRotationInterval duration `name:"key-rotation-interval" group:"tokens" placeholder:"DURATION" default:"720h" help:"How long a key in PostgreSQL signs until it is replaced; 0: until ${program} keys rotate."`

	Data
	DataSealedOnly toggle `name:"data-sealed-only" group:"tokens" placeholder:"BOOL" default:"false" help:"Whether session data that is not sealed is refused: =true or =false. Needs a keyset, and ${program} data reencrypt before."`

	ServiceKeys     ServiceKeys `name:"service-keys" group:"tokens" deployment:"" placeholder:"NAME:SECRET,..." help:"Keys of your backends for the internal listener. Made in LATCHKEY_VAR_DIR for the private PostgreSQL, else required."`
	ServiceKeysFile text        `name:"service-keys-file" group:"tokens" deployment:"" placeholder:"FILE" help:"File that holds them, instead of LATCHKEY_SERVICE_KEYS."`

	AcceptSignOut toggle `name:"accept-sign-out" group:"tokens" placeholder:"BOOL" default:"false" help:"Whether to start although live sessions cannot be recognised with these keys, LATCHKEY_ISSUER and LATCHKEY_AUDIENCE, which signs their users out: =true or =false."`

	CompasSigningKey compasKey `name:"compas-signing-key" secret:"" group:"tokens" deployment:"" placeholder:"SECRET" help:"The signingKey of the Compas application whose tables LATCHKEY_DATABASE_URL has: its tokens go on working. By default none do."`

	AccessTokenTTL     duration `name:"access-token-ttl" group:"sessions" placeholder:"DURATION" default:"5m" help:"How long an access token is valid."`
	RefreshTokenTTL    duration `name:"refresh-token-ttl" group:"sessions" placeholder:"DURATION" default:"720h" help:"How long a session lives without a refresh; 0: until its end, which it then must have."`
	SessionTTL         duration `name:"session-ttl" group:"sessions" placeholder:"DURATION" help:"How long a session lives in spite of refreshes. By default without end."`
	AccessTokenTTLMin  duration `name:"access-token-ttl-min" group:"sessions" placeholder:"DURATION" help:"The least that a session's own access token lifetime may be. By default three times LATCHKEY_REFRESH_GRACE."`
	AccessTokenTTLMax  duration `name:"access-token-ttl-max" group:"sessions" placeholder:"DURATION" help:"The most that it may be. By default 24h."`
	RefreshTokenTTLMin duration `name:"refresh-token-ttl-min" group:"sessions" placeholder:"DURATION" help:"The least that a session's own refresh token lifetime may be. By default its access token's."`
	RefreshTokenTTLMax duration `name:"refresh-token-ttl-max" group:"sessions" placeholder:"DURATION" help:"The most that it may be; each session then has an idle timeout. By default any."`
	SessionTTLMin      duration `name:"session-ttl-min" group:"sessions" placeholder:"DURATION" help:"The least that a session's own lifetime may be. By default any."`
	SessionTTLMax      duration `name:"session-ttl-max" group:"sessions" placeholder:"DURATION" help:"The most that it may be; each session then has an end. By default any."`
	RefreshGrace       duration `name:"refresh-grace" group:"sessions" placeholder:"DURATION" default:"15s" help:"How long a rotated refresh token may come again. Set it above the clients' time-outs."`
	LateRetryLimit     count    `name:"late-retry-limit" group:"sessions" placeholder:"N" default:"8" help:"Generations in a row in which a refresh token may come again later than that."`
	AccessTokenGrace   toggle   `name:"access-token-grace" group:"sessions" placeholder:"BOOL" default:"true" help:"Whether strict checks accept a replaced access token for LATCHKEY_REFRESH_GRACE longer: =true or =false."`

	SessionsPerSubject       count       `name:"sessions-per-subject" group:"sessions" placeholder:"N" default:"0" help:"Live sessions that a subject may have; 0: any number."`
	SessionsPerSubjectAction limitAction `name:"sessions-per-subject-action" group:"sessions" placeholder:"ACTION" default:"end_oldest" help:"What a sign-in does at that limit: end_oldest ends the subject's oldest sessions, refuse creates none."`
	HideActedSessions        toggle      `name:"hide-acted-sessions" group:"sessions" placeholder:"BOOL" default:"false" help:"Whether sessions in which somebody acts for the subject are left out of the subject's own list: =true or =false."`

	RevocationBound duration `name:"revocation-bound" group:"sessions" placeholder:"DURATION" default:"1s" help:"How long a revoked session's access token may still be accepted without a database read, at worst. Normally milliseconds."`

	LeakWebhookURL    webhookURL    `name:"leak-webhook-url" secret:"" group:"leaks" placeholder:"URL" help:"Where a report is sent when a refresh token was stolen. By default it is only logged."`
	LeakWebhookSecret webhookSecret `name:"leak-webhook-secret" secret:"" group:"leaks" placeholder:"SECRET" help:"What the reports are signed with (Standard Webhooks)."`

	EventsFile text `name:"events-file" group:"events" placeholder:"FILE" help:"Where events are sent when sessions are created and ended, a JSON array of endpoints. By default nowhere."`

	CleanupInterval duration `name:"cleanup-interval" group:"cleanup" placeholder:"DURATION" default:"24h" help:"How often expired sessions are removed; 0: never."`
	Retention

	Log
	Audit
}
