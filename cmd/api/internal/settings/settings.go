// Package settings has all settings: flags, environment variables of the same name, and their help. This file declares
// them; the others say what each may be. Settings that several commands share are a struct that the commands embed.
//
// The tag unset describes what applies without a value, if no default says so. The tag docs is Markdown that
// follows the help in docs/settings.md, which is generated from the tags.
package settings

import "github.com/alecthomas/kong"

// Groups are the headings of settings, in the help and in docs/settings.md, in their order.
var Groups = []kong.Group{
	{Key: "database", Title: "Database:"},
	{Key: "http", Title: "Listeners:"},
	{Key: "tokens", Title: "Tokens and keys:"},
	{Key: "sessions", Title: "Sessions:"},
	{Key: "leaks", Title: "Leak reports:"},
	{Key: "events", Title: "Events:"},
	{Key: "cleanup", Title: "Cleanup:"},
	{Key: "log", Title: "Logging:"},
}

// Database say where the sessions are. Every command that uses the database has them. The tag deployment marks settings that
// only a service with its own database has: with any of them, [Database.Meant] does not assume a private one.
type Database struct {
	DatabaseURL       databaseURL `name:"database-url" secret:"" group:"database" placeholder:"URL" unset:"a private PostgreSQL below LATCHKEY_VAR_DIR" help:"PostgreSQL to use, as any libpq URL, or private for the private one." docs:"With settings that only a deployment has, private [must be set explicitly](operations.md#installation)."`
	DirectDatabaseURL databaseURL `name:"direct-database-url" secret:"" group:"database" deployment:"" placeholder:"URL" unset:"none" help:"The same database without the pooler, if LATCHKEY_DATABASE_URL is a PgBouncer in transaction mode." docs:"[When it is needed](operations.md#behind-pgbouncer)"`
	Shards            shardURLs   `name:"shards" secret:"" group:"database" deployment:"" placeholder:"NAME=URL ..." unset:"none: all sessions are in one database" help:"Further databases, or schemas, that sessions are spread over, separated by white space: name=URL each, or name:weight=URL, where a weight of 0 takes no new sessions. The search_path in a URL selects a schema. If the URL leads to a PgBouncer in transaction mode, name.direct=URL is the same database without it. The database of LATCHKEY_DATABASE_URL is the shard called first." docs:"[Shards](scale.md#shards)"`
	VarDir            text        `name:"var-dir" group:"database" placeholder:"DIR" default:"./var" help:"Folder of the private PostgreSQL and of the keys made for it."`

	deployment string // the name of a setting that only a deployment has, if there is one
}

// Log say what is logged, and how.
type Log struct {
	LogLevel  logLevel  `name:"log-level" group:"log" placeholder:"LEVEL" default:"info" help:"Lowest level that is logged: debug, info, warn or error."`
	LogFormat logFormat `name:"log-format" group:"log" placeholder:"FORMAT" unset:"text on a terminal, otherwise json" help:"Format of the log: text or json."`
}

// Audit say where audit events go. Every command that changes something audited has them.
type Audit struct {
	AuditLog auditTarget `name:"audit-log" group:"log" placeholder:"FILE" default:"none" help:"Where to write a line of JSON for each session that is created, updated or ended: none, stdout or a file." docs:"[Audit](audit.md)"`
}

// Retention say what cleanup keeps. The cleanup command and the built-in schedule share them.
type Retention struct {
	CleanupRetention     duration `name:"cleanup-retention" group:"cleanup" placeholder:"DURATION" default:"336h" help:"How long an ended session is kept."`
	CleanupSessionMaxAge duration `name:"cleanup-session-max-age" group:"cleanup" placeholder:"DURATION" unset:"none" help:"Age past which any session is ended."`
}

// StoredKeys say how signing keys in PostgreSQL are kept, if they are there.
type StoredKeys struct {
	KeyEncryptionKey sealingKeys  `name:"key-encryption-key" secret:"" group:"tokens" deployment:"" placeholder:"BASE64,..." unset:"none: the signing keys are in the file" help:"Keeps the signing keys in PostgreSQL, sealed with this key: 32 random bytes in base64. Several may be given, separated by commas: the first seals, all open." docs:"[Signing keys in PostgreSQL](operations.md#signing-keys-in-postgresql)"`
	KeyAlgorithm     keyAlgorithm `name:"key-algorithm" group:"tokens" placeholder:"ALG" unset:"that of the previous key, ES256 for the first" help:"Algorithm of new signing keys, in PostgreSQL or in LATCHKEY_VAR_DIR: EdDSA, ES256, RS256, PS256 or HS256." docs:"[Which to choose](clients.md#algorithms)"`
}

// Data say what session data is sealed with, if it is.
type Data struct {
	DataEncryptionKeyset     dataKeyset `name:"data-encryption-keyset" group:"tokens" deployment:"" placeholder:"JSON" unset:"none: session data is not sealed" help:"Seals session data in PostgreSQL with these keys: a Tink keyset in JSON, made by ${program} data keys generate. Its primary key seals, all open." docs:"[Encrypted session data](operations.md#encrypted-session-data)"`
	DataEncryptionKeysetFile text       `name:"data-encryption-keyset-file" group:"tokens" deployment:"" placeholder:"FILE" unset:"none" help:"File with the keyset, instead of LATCHKEY_DATA_ENCRYPTION_KEYSET."`
}

// NewKeys say where `api keys init` makes keys.
type NewKeys struct {
	VarDir       text         `name:"var-dir" aliases:"dir" group:"database" placeholder:"DIR" default:"./var" help:"Folder for the new signing-keys.json and service-key (--dir is the same)."`
	KeyAlgorithm keyAlgorithm `name:"key-algorithm" aliases:"algorithm" group:"tokens" placeholder:"ALG" unset:"ES256" help:"Algorithm of a new signing key: EdDSA, ES256, RS256, PS256 or HS256 (--algorithm is the same)."`
}

// ListedKeys say which file `api keys list` reads.
type ListedKeys struct {
	SigningKeysFile text `name:"signing-keys-file" aliases:"file" group:"tokens" placeholder:"FILE" unset:"the one in LATCHKEY_VAR_DIR" help:"Private JWK set to list (--file is the same)."`
}

// Listener says where a service on this machine listens.
type Listener struct {
	InternalAddr address `name:"internal-addr" group:"http" placeholder:"HOST:PORT" default:"127.0.0.1:8081" help:"The service's listener for your own backends and operators."`
}

// Serve are all settings of the service: flags, environment variables of the same name, and their help.
type Serve struct {
	Database

	PublicAddr       address  `name:"public-addr" group:"http" placeholder:"HOST:PORT" default:":8080" help:"Listener that browsers and apps can reach."`
	InternalAddr     address  `name:"internal-addr" group:"http" placeholder:"HOST:PORT" default:"127.0.0.1:8081" help:"Listener for your own backends and operators."`
	CORSOrigins      origins  `name:"cors-origins" group:"http" placeholder:"ORIGIN,..." unset:"none" help:"Exact origins of the browser apps that may call the public listener."`
	RateLimit        count    `name:"rate-limit" group:"http" placeholder:"N" default:"0" help:"Requests per minute for each client address on the public listener; 0: no limit." docs:"[How they are counted](operations.md#limits)"`
	RateLimitSession count    `name:"rate-limit-session" group:"http" placeholder:"N" default:"0" help:"Requests per minute with tokens of one session on the public listener, from any address; 0: no limit."`
	DPoPNonce        toggle   `name:"dpop-nonce" group:"http" placeholder:"BOOL" default:"false" help:"Whether proofs of possession (DPoP) need a nonce of the service: =true or =false." docs:"[Proof of possession](clients.md#proof-of-possession)"`
	DPoPWindow       duration `name:"dpop-window" group:"http" placeholder:"DURATION" default:"1m" help:"How far the time of a proof of possession without a nonce may be off. Beyond it, the service asks the client for a nonce."`
	KeepAliveTimeout duration `name:"keep-alive-timeout" group:"http" placeholder:"DURATION" default:"2m" help:"How long a connection is kept open for another request. Set it above that of the load balancer in front."`
	ShutdownDelay    duration `name:"shutdown-delay" group:"http" placeholder:"DURATION" default:"0s" help:"How long requests are accepted after SIGTERM, while /readyz answers 503. Set it to the time that load balancers take to notice."`
	TrustedProxies   prefixes `name:"trusted-proxies" group:"http" deployment:"" placeholder:"NETWORK,..." unset:"none" help:"Networks of the proxies whose X-Forwarded-For is trusted."`

	Issuer            issuer `name:"issuer" group:"tokens" deployment:"" placeholder:"URL" unset:"made from LATCHKEY_PUBLIC_ADDR" help:"The tokens' iss, and the address of the public listener for its clients."`
	Audience          text   `name:"audience" group:"tokens" placeholder:"NAME" default:"latchkey" help:"The access tokens' aud."`
	AudiencesAccepted names  `name:"audiences-accepted" group:"tokens" placeholder:"NAME,..." unset:"none" help:"Further audiences that are accepted while LATCHKEY_AUDIENCE is changed replica by replica." docs:"[Changing the audience](operations.md#clocks-and-rollouts)"`
	ClientID          text   `name:"client-id" group:"tokens" placeholder:"NAME" default:"latchkey" help:"The access tokens' client_id. A client that names itself must use it."`
	ClientsFile       text   `name:"clients-file" group:"tokens" placeholder:"FILE" unset:"none but LATCHKEY_CLIENT_ID" help:"File with further clients, a JSON array: their ids, audiences, origins and lifetimes." docs:"[Several clients](operations.md#several-clients)"`
	SigningKeysFile   text   `name:"signing-keys-file" group:"tokens" deployment:"" placeholder:"FILE" unset:"made in LATCHKEY_VAR_DIR for the private PostgreSQL, otherwise required without LATCHKEY_KEY_ENCRYPTION_KEY" help:"Private JWK set: its first key signs, all verify."`
	StoredKeys
	KeyRotationInterval duration `name:"key-rotation-interval" group:"tokens" placeholder:"DURATION" default:"720h" help:"How long a key in PostgreSQL signs until it is replaced; 0: until ${program} keys rotate."`

	Data
	DataSealedOnly toggle `name:"data-sealed-only" group:"tokens" placeholder:"BOOL" default:"false" help:"Whether to refuse session data that is not sealed, so that it cannot be written without a key: =true or =false. It needs a keyset, and all data sealed by ${program} data reencrypt."`

	ServiceKeys     ServiceKeys `name:"service-keys" group:"tokens" deployment:"" placeholder:"NAME:SECRET,..." unset:"made in LATCHKEY_VAR_DIR for the private PostgreSQL, otherwise required" help:"Keys of your backends for the internal listener: name:secret or name:secret:right+right, separated by commas, each secret with 32 characters or more." docs:"[Rights](operations.md#rights)"`
	ServiceKeysFile text        `name:"service-keys-file" group:"tokens" deployment:"" placeholder:"FILE" unset:"none" help:"File with these keys, instead of LATCHKEY_SERVICE_KEYS."`

	AcceptSignOut toggle `name:"accept-sign-out" group:"tokens" placeholder:"BOOL" default:"false" help:"Whether to start although live sessions cannot be recognised with these keys, LATCHKEY_ISSUER and LATCHKEY_AUDIENCE, which signs their users out: =true or =false." docs:"[When to use it](operations.md#start-and-stop)"`

	CompasSigningKey compasKey `name:"compas-signing-key" secret:"" group:"tokens" deployment:"" placeholder:"SECRET" unset:"none" help:"The signingKey of the Compas application whose tables are in LATCHKEY_DATABASE_URL: its tokens stay valid." docs:"[Moving from Compas](compas.md)"`

	AccessTokenTTL     duration `name:"access-token-ttl" group:"sessions" placeholder:"DURATION" default:"5m" help:"How long an access token is valid."`
	RefreshTokenTTL    duration `name:"refresh-token-ttl" group:"sessions" placeholder:"DURATION" default:"720h" help:"How long a session lives without a refresh; 0: until its absolute end, which it must then have."`
	SessionTTL         duration `name:"session-ttl" group:"sessions" placeholder:"DURATION" unset:"without end" help:"How long a session lives regardless of refreshes."`
	AccessTokenTTLMin  duration `name:"access-token-ttl-min" group:"sessions" placeholder:"DURATION" unset:"three times LATCHKEY_REFRESH_GRACE" help:"Shortest access token lifetime that a session may be given." docs:"[Bounds for lifetimes](operations.md#bounds-for-lifetimes)"`
	AccessTokenTTLMax  duration `name:"access-token-ttl-max" group:"sessions" placeholder:"DURATION" unset:"24h" help:"Longest access token lifetime that a session may be given."`
	RefreshTokenTTLMin duration `name:"refresh-token-ttl-min" group:"sessions" placeholder:"DURATION" unset:"its access token's" help:"Shortest refresh token lifetime that a session may be given."`
	RefreshTokenTTLMax duration `name:"refresh-token-ttl-max" group:"sessions" placeholder:"DURATION" unset:"any" help:"Longest refresh token lifetime that a session may be given; each session then has an idle timeout."`
	SessionTTLMin      duration `name:"session-ttl-min" group:"sessions" placeholder:"DURATION" unset:"any" help:"Shortest lifetime that a session may be given."`
	SessionTTLMax      duration `name:"session-ttl-max" group:"sessions" placeholder:"DURATION" unset:"any" help:"Longest lifetime that a session may be given; each session then has an end."`
	RefreshGrace       duration `name:"refresh-grace" group:"sessions" placeholder:"DURATION" default:"15s" help:"How long a rotated refresh token may be presented again. Set it above the clients' time-outs."`
	LateRetryLimit     count    `name:"late-retry-limit" group:"sessions" placeholder:"N" default:"8" help:"Consecutive generations in which a refresh token may be presented again later than that."`
	AccessTokenGrace   toggle   `name:"access-token-grace" group:"sessions" placeholder:"BOOL" default:"true" help:"Whether strict checks accept a replaced access token for LATCHKEY_REFRESH_GRACE longer: =true or =false." docs:"[Why](refresh.md#replaced-access-tokens)"`

	SessionsPerSubject       count       `name:"sessions-per-subject" group:"sessions" placeholder:"N" default:"0" help:"Live sessions that a subject may have, counted exactly; 0: any number." docs:"[The limit](operations.md#limits)"`
	SessionsPerSubjectAction limitAction `name:"sessions-per-subject-action" group:"sessions" placeholder:"ACTION" default:"end_oldest" help:"Effect of a sign-in at that limit: end_oldest ends the subject's oldest sessions, refuse creates none and answers 409."`
	HideActedSessions        toggle      `name:"hide-acted-sessions" group:"sessions" placeholder:"BOOL" default:"false" help:"Whether the subject's own list leaves out sessions in which someone acts for the subject: =true or =false." docs:"[Acting for someone](authentication.md#acting-for-someone)"`

	RevocationBound duration `name:"revocation-bound" group:"sessions" placeholder:"DURATION" default:"1s" help:"How long, at worst, a revoked session's access token may still be accepted without a database read. Normally milliseconds."`

	LeakWebhookURL    webhookURL    `name:"leak-webhook-url" secret:"" group:"leaks" placeholder:"URL" unset:"none: reports are only logged" help:"Where to send a report when a refresh token was stolen." docs:"[Leak reports](operations.md#leak-reports)"`
	LeakWebhookSecret webhookSecret `name:"leak-webhook-secret" secret:"" group:"leaks" placeholder:"SECRET" unset:"none" help:"Secret that signs the reports: whsec_ and 24 to 64 bytes in base64." docs:"[Standard Webhooks](https://www.standardwebhooks.com)"`

	EventsFile text `name:"events-file" group:"events" placeholder:"FILE" unset:"none: nothing is sent" help:"File with the endpoints that get events when sessions are created and ended, a JSON array." docs:"[Events](events.md)"`

	CleanupInterval duration `name:"cleanup-interval" group:"cleanup" placeholder:"DURATION" default:"24h" help:"How often ended sessions are removed; 0: never."`
	Retention

	Log
	Audit
}
