package settings

import (
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	// minRetention keeps a revoked session until its last access token has expired: verifiers that start meanwhile must
	// learn of it.
	minRetention = duration(sessionstore.MaxAccessTokenTTL + time.Hour)
	minMaxAge    = duration(time.Hour)
	// minKeyRotation leaves a margin for the job that maintains the keys, which runs once per hour.
	minKeyRotation = duration(time.Hour)
)

// Validate checks each setting against the others; each alone was checked when it was
// read. Settings are named by their variables here: the flags have the same names.
func (s *Serve) Validate() error {
	embedded := s.Private()
	switch {
	case embedded && s.DirectDatabaseURL != "":
		return WrongTogether("LATCHKEY_DIRECT_DATABASE_URL is set and LATCHKEY_DATABASE_URL is not: it must be set together with a LATCHKEY_DATABASE_URL that leads to a PgBouncer")
	case s.PublicAddr == s.InternalAddr && !strings.HasSuffix(string(s.PublicAddr), ":0"):
		return Wrong("LATCHKEY_INTERNAL_ADDR", Quote(string(s.InternalAddr)), "any address but LATCHKEY_PUBLIC_ADDR's")
	case s.KeepAliveTimeout == 0:
		return Wrong("LATCHKEY_KEEP_ALIVE_TIMEOUT", s.KeepAliveTimeout.String(), "a duration above 0, such as 2m")
	case s.RefreshGrace == 0:
		return Wrong("LATCHKEY_REFRESH_GRACE", s.RefreshGrace.String(), "a duration above 0, such as 15s")
	case s.RateLimitSession != 0 && time.Minute/time.Duration(s.RateLimitSession) >= time.Duration(s.RefreshGrace):
		return Wrong("LATCHKEY_RATE_LIMIT_SESSION", strconv.Itoa(int(s.RateLimitSession)), "0 or a number above "+strconv.Itoa(int(time.Minute/time.Duration(s.RefreshGrace)))+": a refused client waits for a minute divided by it, which must be less than LATCHKEY_REFRESH_GRACE, "+s.RefreshGrace.String())
	case s.RevocationBound == 0:
		return Wrong("LATCHKEY_REVOCATION_BOUND", s.RevocationBound.String(), "a duration of 1s or more")
	case s.LateRetryLimit == 0:
		return Wrong("LATCHKEY_LATE_RETRY_LIMIT", "0", "a number of 1 or more")
	case (s.LeakWebhookURL == "") != (s.LeakWebhookSecret == ""):
		return WrongTogether("LATCHKEY_LEAK_WEBHOOK_URL and LATCHKEY_LEAK_WEBHOOK_SECRET: only one of them is set; set both or neither")
	case len(s.ServiceKeys) > 0 && s.ServiceKeysFile != "":
		return WrongTogether("LATCHKEY_SERVICE_KEYS and LATCHKEY_SERVICE_KEYS_FILE are both set; only one of them may be")
	case s.KeyRotationInterval != 0 && s.KeyRotationInterval < minKeyRotation:
		return Wrong("LATCHKEY_KEY_ROTATION_INTERVAL", s.KeyRotationInterval.String(), "a duration of 1h or more, or 0 for none")
	case !embedded && s.SigningKeysFile == "" && len(s.KeyEncryptionKey) == 0:
		return Wrong("LATCHKEY_SIGNING_KEYS_FILE", "not set", "a file that `api keys init` or `api keys generate` made, or nothing if LATCHKEY_KEY_ENCRYPTION_KEY is set; LATCHKEY_DATABASE_URL is set, so none is made automatically")
	case !embedded && len(s.ServiceKeys) == 0 && s.ServiceKeysFile == "":
		return Wrong("LATCHKEY_SERVICE_KEYS", "not set", serviceKeysForm+"; LATCHKEY_DATABASE_URL is set, so none is made automatically")
	}
	if err := s.checkShards(); err != nil {
		return err
	}
	if err := s.checkLifetimes(); err != nil {
		return err
	}
	if err := s.Data.Check(); err != nil {
		return err
	}
	if s.DataSealedOnly == "true" && s.DataEncryptionKeyset.Keyset == nil && s.DataEncryptionKeysetFile == "" {
		return WrongTogether("LATCHKEY_DATA_SEALED_ONLY is true without a keyset; LATCHKEY_DATA_ENCRYPTION_KEYSET or LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE must be set with it")
	}
	return s.Retention.Check()
}

// Check checks them against their bounds.
func (s Retention) Check() error {
	switch {
	case s.CleanupRetention < minRetention:
		return Wrong("LATCHKEY_CLEANUP_RETENTION", s.CleanupRetention.String(), "a duration of 25h or more")
	case s.CleanupSessionMaxAge != 0 && s.CleanupSessionMaxAge < minMaxAge:
		return Wrong("LATCHKEY_CLEANUP_SESSION_MAX_AGE", s.CleanupSessionMaxAge.String(), "a duration of 1h or more, or 0 for none")
	}
	return nil
}

// Required requires the keys to be in PostgreSQL.
func (s StoredKeys) Required() error {
	if len(s.KeyEncryptionKey) == 0 {
		return Wrong("LATCHKEY_KEY_ENCRYPTION_KEY", "not set", sealingKeysForm+"; `api keys generate --help` explains how to replace keys in a file")
	}
	return nil
}

// checkShards is [Database.CheckShards] for the service.
func (s *Serve) checkShards() error {
	without := func(setting, why string) error {
		return WrongTogether("LATCHKEY_SHARDS and " + setting + " are both set: " + why)
	}
	switch {
	case !s.Sharded():
		return nil
	case s.CompasSigningKey != "":
		return without("LATCHKEY_COMPAS_SIGNING_KEY", "the sessions of Compas are in one database")
	}
	return s.CheckShards()
}
