package main_test

import (
	"strings"
	"testing"
)

// Each wrong setting stops the start with one line that names it, what it was and what it may be.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	const (
		duration = "; it may be a duration in whole seconds, such as 15s, 5m or 720h, up to 876000h"
		number   = "; it may be a whole number from 0 to 1000000000"
		address  = "; it may be host:port or :port, such as 127.0.0.1:8081 or :8080"
		url      = "; it may be an https URL without query, fragment and final slash, such as https://login.example.com (or http://localhost:8080 for this machine only)"
		origin   = "; it may be exact origins as browsers send them, separated by commas, such as https://app.example.com,http://localhost:5173 (no *, no path, lower case, no default port)"
		network  = "; it may be networks or addresses, separated by commas, such as 10.0.0.0/8,192.0.2.7"
		text     = "; it may be text without control characters and without space around it"
		keys     = "; it may be name:secret,name:secret with names of their own and secrets of 32 characters or more"
		database = "; it may be a libpq URL such as postgres://user:password@host:5432/database?sslmode=verify-full"
		secret   = "hunter2-hunter2-hunter2-hunter2-hunter2"
		keyset   = "; it may be a keyset as `api data keys generate` makes one: Tink's JSON, not encrypted, with keys for XAES-256-GCM or AES-256-GCM"
		sealing  = "; it may be 32 random bytes in base64, such as `openssl rand -base64 32` prints, or several of these, separated by commas: the first seals, all open"
	)
	configured := env{"DATABASE_URL": "postgres://localhost:1/x", "SIGNING_KEYS_FILE": "keys.json", "SERVICE_KEYS": "a:" + secret}

	for _, c := range []struct {
		settings env
		want     string
	}{
		{env{"DATABASE_URL": "postgres://u:" + secret + "@host:port/db"}, "DATABASE_URL is not an address of a PostgreSQL database" + database},
		{env{"VAR_DIR": " var"}, `VAR_DIR is " var"` + text},
		{env{"PUBLIC_ADDR": "8080"}, `PUBLIC_ADDR is "8080"` + address},
		{env{"PUBLIC_ADDR": ":http"}, `PUBLIC_ADDR is ":http"` + address},
		{env{"PUBLIC_ADDR": ":99999"}, `PUBLIC_ADDR is ":99999"` + address},
		{env{"INTERNAL_ADDR": "localhost"}, `INTERNAL_ADDR is "localhost"` + address},
		{env{"INTERNAL_ADDR": ":8080"}, `INTERNAL_ADDR is ":8080"; it may be any address but PUBLIC_ADDR's`},
		{env{"CORS_ORIGINS": "*"}, `CORS_ORIGINS is "*"` + origin},
		{env{"CORS_ORIGINS": "null"}, `CORS_ORIGINS is "null"` + origin},
		{env{"CORS_ORIGINS": "https://*.example.com"}, `CORS_ORIGINS is "https://*.example.com"` + origin},
		{env{"CORS_ORIGINS": "https://app.example.com/"}, `CORS_ORIGINS is "https://app.example.com/"` + origin},
		{env{"CORS_ORIGINS": "https://App.example.com"}, `CORS_ORIGINS is "https://App.example.com"` + origin},
		{env{"CORS_ORIGINS": "https://app.example.com:443"}, `CORS_ORIGINS is "https://app.example.com:443"` + origin},
		{env{"CORS_ORIGINS": "https://app.example.com,,"}, `CORS_ORIGINS is "https://app.example.com,,"` + origin},
		{env{"RATE_LIMIT": "-1"}, `RATE_LIMIT is "-1"` + number},
		{env{"RATE_LIMIT": "ten"}, `RATE_LIMIT is "ten"` + number},
		{env{"RATE_LIMIT_SESSION": "1.5"}, `RATE_LIMIT_SESSION is "1.5"` + number},
		{env{"RATE_LIMIT_SESSION": "4"}, "RATE_LIMIT_SESSION is 4; it may be 0 or a number above 4: who is refused waits for a minute divided by it, which must be less than REFRESH_GRACE, 15s"},
		{env{"DPOP_NONCE": "on"}, `DPOP_NONCE is "on"; it may be true or false`},
		{env{"TRUSTED_PROXIES": "10.0.0.0/33"}, `TRUSTED_PROXIES is "10.0.0.0/33"` + network},
		{env{"TRUSTED_PROXIES": "proxy.local"}, `TRUSTED_PROXIES is "proxy.local"` + network},
		{env{"ISSUER": "login.example.com"}, `ISSUER is "login.example.com"` + url},
		{env{"ISSUER": "http://login.example.com"}, `ISSUER is "http://login.example.com"` + url},
		{env{"ISSUER": "https://login.example.com/"}, `ISSUER is "https://login.example.com/"` + url},
		{env{"ISSUER": "https://login.example.com?x"}, `ISSUER is "https://login.example.com?x"` + url},
		{env{"ISSUER": "https://u:p@login.example.com"}, `ISSUER is "https://u:p@login.example.com"` + url},
		{env{"AUDIENCES_ACCEPTED": "a,,b"}, `AUDIENCES_ACCEPTED is "a,,b"; it may be names without control characters, separated by commas`},
		{env{"AUDIENCE": "a\nb"}, `AUDIENCE is "a\nb"` + text},
		{env{"CLIENT_ID": " "}, `CLIENT_ID is " "` + text},
		{env{"SERVICE_KEYS": secret}, "SERVICE_KEYS is not usable (key 1 has no name)" + keys},
		{env{"SERVICE_KEYS": "a:short"}, `SERVICE_KEYS is not usable (the secret of "a" has 5 characters)` + keys},
		{env{"SERVICE_KEYS": "a:" + secret + ",a:x" + secret}, `SERVICE_KEYS is not usable (the name "a" comes twice)` + keys},
		{env{"SERVICE_KEYS": "a:" + secret + ",b:" + secret}, `SERVICE_KEYS is not usable (the secret of "b" is another key's too)` + keys},
		{env{"SERVICE_KEYS": "a b:" + secret}, "SERVICE_KEYS is not usable (key 1 has no name)" + keys},
		{env{"SERVICE_KEYS": "a:" + secret + "!"}, `SERVICE_KEYS is not usable (the secret of "a" has characters other than letters, digits and ._~+/-)` + keys},
		{env{"SERVICE_KEYS": ","}, "SERVICE_KEYS is not usable (there is none)" + keys},
		{env{"SERVICE_KEYS": "a:" + secret, "SERVICE_KEYS_FILE": "f"}, "SERVICE_KEYS and SERVICE_KEYS_FILE are both set; one of them may be"},
		{env{"COMPAS_SIGNING_KEY": "hunter2hunter2hunter"[:19]}, "COMPAS_SIGNING_KEY is not usable; it may be the signingKey that your Compas application used, of 20 characters or more"},
		{env{"ACCESS_TOKEN_TTL": "5 minutes"}, `ACCESS_TOKEN_TTL is "5 minutes"` + duration},
		{env{"ACCESS_TOKEN_TTL": "1500ms"}, `ACCESS_TOKEN_TTL is "1500ms"` + duration},
		{env{"ACCESS_TOKEN_TTL": "-5m"}, `ACCESS_TOKEN_TTL is "-5m"` + duration},
		{env{"ACCESS_TOKEN_TTL": "30s"}, "ACCESS_TOKEN_TTL is 30s; it may be a duration above three times REFRESH_GRACE, which is 15s"},
		{env{"REFRESH_TOKEN_TTL": "30"}, `REFRESH_TOKEN_TTL is "30"` + duration},
		{env{"ACCESS_TOKEN_TTL": "25h"}, "ACCESS_TOKEN_TTL is 25h0m0s; it may be a duration up to 24h"},
		{env{"REVOCATION_BOUND": "0"}, "REVOCATION_BOUND is 0s; it may be a duration of 1s or more"},
		{env{"REFRESH_TOKEN_TTL": "600000h"}, "REFRESH_TOKEN_TTL is 600000h0m0s; it may be a duration up to 596523h14m7s"},
		{env{"SESSION_TTL": "600000h"}, "SESSION_TTL is 600000h0m0s; it may be a duration up to 596523h14m7s"},
		{env{"REFRESH_TOKEN_TTL": "5m"}, "REFRESH_TOKEN_TTL is 5m0s; it may be a duration above ACCESS_TOKEN_TTL, which is 5m0s"},
		{env{"REFRESH_TOKEN_TTL": "0"}, "REFRESH_TOKEN_TTL is 0s; it may be 0, for no idle timeout, where SESSION_TTL is set; else a duration above ACCESS_TOKEN_TTL"},
		{env{"REFRESH_TOKEN_TTL": "0", "SESSION_TTL": "24h", "REFRESH_TOKEN_TTL_MAX": "1h"}, "REFRESH_TOKEN_TTL is 0s; it may be a duration up to REFRESH_TOKEN_TTL_MAX, which is 1h0m0s"},
		{env{"ACCESS_TOKEN_TTL_MAX": "25h"}, "ACCESS_TOKEN_TTL_MAX is 25h0m0s; it may be a duration up to 24h"},
		{env{"ACCESS_TOKEN_TTL_MIN": "6m"}, "ACCESS_TOKEN_TTL is 5m0s; it may be a duration from ACCESS_TOKEN_TTL_MIN on, which is 6m0s"},
		{env{"REFRESH_TOKEN_TTL_MAX": "30m"}, "REFRESH_TOKEN_TTL is 720h0m0s; it may be a duration up to REFRESH_TOKEN_TTL_MAX, which is 30m0s"},
		{env{"SESSION_TTL_MAX": "24h"}, "SESSION_TTL is 0s; it may be a duration up to SESSION_TTL_MAX, which is 24h0m0s"},
		{env{"SESSION_TTL_MAX": "1h", "SESSION_TTL_MIN": "2h"}, "SESSION_TTL_MAX is 1h0m0s; it may be a duration from SESSION_TTL_MIN on, which is 2h0m0s"},
		{env{"SESSION_TTL_MIN": "600000h"}, "SESSION_TTL_MIN is 600000h0m0s; it may be a duration up to 596523h14m7s"},
		{env{"SESSION_TTL": "none"}, `SESSION_TTL is "none"` + duration},
		{env{"SESSION_TTL": "999999h"}, `SESSION_TTL is "999999h"` + duration},
		{env{"REFRESH_GRACE": "fast"}, `REFRESH_GRACE is "fast"` + duration},
		{env{"REFRESH_GRACE": "0"}, "REFRESH_GRACE is 0s; it may be a duration above 0, such as 15s"},
		{env{"LATE_RETRY_LIMIT": "8.5"}, `LATE_RETRY_LIMIT is "8.5"` + number},
		{env{"LATE_RETRY_LIMIT": "0"}, "LATE_RETRY_LIMIT is 0; it may be a number from 1 on"},
		{env{"SESSIONS_PER_SUBJECT": "none"}, `SESSIONS_PER_SUBJECT is "none"` + number},
		{env{"SESSIONS_PER_SUBJECT_ACTION": "end_newest"}, `SESSIONS_PER_SUBJECT_ACTION is "end_newest"; it may be end_oldest or refuse`},
		{env{"LEAK_WEBHOOK_URL": "http://hunter2@alerts.example.com"}, "LEAK_WEBHOOK_URL is not an address that reports can be sent to; it may be an https URL such as https://alerts.example.com/latchkey (or http://localhost:9000 for this machine only)"},
		{env{"LEAK_WEBHOOK_SECRET": "whsec_hunter2"}, "LEAK_WEBHOOK_SECRET is not usable; it may be whsec_ followed by 24 to 64 random bytes in base64, as `echo whsec_$(openssl rand -base64 32)` makes it"},
		{env{"DIRECT_DATABASE_URL": "postgres://u:hunter2@db.example.com/x"}, "DIRECT_DATABASE_URL is set and DATABASE_URL is not: it may be set beside a DATABASE_URL that leads to a PgBouncer"},
		{env{"LEAK_WEBHOOK_URL": "https://hunter2@alerts.example.com"}, "LEAK_WEBHOOK_URL and LEAK_WEBHOOK_SECRET: only one of them is set; both may be, or none"},
		{env{"CLEANUP_INTERVAL": "daily"}, `CLEANUP_INTERVAL is "daily"` + duration},
		{env{"CLEANUP_RETENTION": "14d"}, `CLEANUP_RETENTION is "14d"` + duration},
		{env{"CLEANUP_RETENTION": "0"}, "CLEANUP_RETENTION is 0s; it may be a duration of 25h or more"},
		{env{"CLEANUP_SESSION_MAX_AGE": "x"}, `CLEANUP_SESSION_MAX_AGE is "x"` + duration},
		{env{"CLEANUP_SESSION_MAX_AGE": "1m"}, "CLEANUP_SESSION_MAX_AGE is 1m0s; it may be a duration of 1h or more, or 0 for none"},
		{env{"KEY_ENCRYPTION_KEY": secret}, "KEY_ENCRYPTION_KEY is not usable" + sealing},
		{env{"KEY_ENCRYPTION_KEY": sealingKey("a") + "," + secret}, "KEY_ENCRYPTION_KEY is not usable" + sealing},
		{env{"DATA_ENCRYPTION_KEYSET": `{"primaryKeyId":1,"key":[{"keyData":{"value":"` + secret + `"}}]}`}, "DATA_ENCRYPTION_KEYSET is not usable" + keyset},
		{env{"DATA_ENCRYPTION_KEYSET": dataKeyset(t), "DATA_ENCRYPTION_KEYSET_FILE": "f"}, "DATA_ENCRYPTION_KEYSET and DATA_ENCRYPTION_KEYSET_FILE are both set; one of them may be"},
		{env{"KEY_ALGORITHM": "none"}, `KEY_ALGORITHM is "none"; it may be EdDSA, ES256, RS256, PS256 or HS256`},
		{env{"KEY_ROTATION_INTERVAL": "59m"}, "KEY_ROTATION_INTERVAL is 59m0s; it may be a duration of 1h or more, or 0 for none"},
		{env{"LOG_LEVEL": "loud"}, `LOG_LEVEL is "loud"; it may be debug, info, warn or error`},
		{env{"AUDIT_LOG": "off"}, `AUDIT_LOG is "off"; it may be none, stdout, or the path of a file, such as /var/log/latchkey/audit.log`},
		{env{"LOG_FORMAT": "xml"}, `LOG_FORMAT is "xml"; it may be text or json`},
		{configured.With(env{"SIGNING_KEYS_FILE": ""}), "SIGNING_KEYS_FILE is not set; it may be a file that `api keys init` or `api keys generate` made, or nothing where KEY_ENCRYPTION_KEY is set; DATABASE_URL is set, so none is made by itself"},
		{configured.With(env{"SERVICE_KEYS": ""}), "SERVICE_KEYS is not set" + keys + "; DATABASE_URL is set, so none is made by itself"},
		{env{"LOG_LEVEL": strings.Repeat("x", 100)}, `LOG_LEVEL is "` + strings.Repeat("x", 80) + `…"; it may be debug, info, warn or error`},
	} {
		r := api(t, c.settings)
		if r.code != 2 || r.stdout != "" || r.stderr != "api: "+c.want+"\n" {
			t.Errorf("%v: exit code %d:\n%s%s\nwant 2:\napi: %s", c.settings, r.code, r.stdout, r.stderr, c.want)
		}
		if strings.Contains(r.stderr, "hunter2") {
			t.Errorf("%v: the secret is shown", c.settings)
		}
	}
}

func TestWrongFlagIsNamedAsTheFlag(t *testing.T) {
	t.Parallel()

	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--access-token-ttl", "5 minutes"}, `api: --access-token-ttl is "5 minutes"; it may be a duration in whole seconds, such as 15s, 5m or 720h, up to 876000h`},
		{[]string{"serve", "--public-addr=x"}, `api: --public-addr is "x"; it may be host:port or :port, such as 127.0.0.1:8081 or :8080`},
		{[]string{"cleanup", "--cleanup-retention=x"}, `api: --cleanup-retention is "x"; it may be a duration in whole seconds, such as 15s, 5m or 720h, up to 876000h`},
	} {
		// The variable is fine, and the flag wins.
		r := api(t, env{"ACCESS_TOKEN_TTL": "5m", "PUBLIC_ADDR": ":1"}, c.args...)
		if r.code != 2 || r.stderr != c.want+"\n" {
			t.Errorf("%v: exit code %d: %s", c.args, r.code, r.stderr)
		}
	}
}

// A command is not stopped by the settings of another.
func TestOtherCommandsSettingsDoNotMatter(t *testing.T) {
	t.Parallel()

	r := api(t, env{"ACCESS_TOKEN_TTL": "x", "DATABASE_URL": "x", "PUBLIC_ADDR": "x"}, "version")
	if r.code != 0 || r.stdout != "v1.2.3\n" || r.stderr != "" {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}
