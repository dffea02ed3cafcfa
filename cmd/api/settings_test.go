package main_test

import (
	"strings"
	"testing"
)

// Each wrong setting stops the start with one line that names it, what it was and what it may be.
func TestWrongSettings(t *testing.T) {
	t.Parallel()
	const (
		duration = "; it must be a duration in whole seconds, such as 15s, 5m or 720h, up to 876000h"
		number   = "; it must be a whole number from 0 to 1000000000"
		address  = "; it must be host:port or :port, such as 127.0.0.1:8081 or :8080"
		url      = "; it must be an https URL without query, fragment and trailing slash, such as https://login.example.com (or http://localhost:8080 for this machine only)"
		origin   = "; it must be exact origins as browsers send them, separated by commas, such as https://app.example.com,http://localhost:5173 (no *, no path, lower case, no default port)"
		network  = "; it must be networks or addresses, separated by commas, such as 10.0.0.0/8,192.0.2.7"
		text     = "; it must be text without control characters and without space around it"
		keys     = "; it must be name:secret,name:secret:right+right with different names and secrets of 32 characters or more"
		database = "; it must be a libpq URL such as postgres://user:password@host:5432/database?sslmode=verify-full, or private for a database below LATCHKEY_VAR_DIR"
		rights   = "create, read, read-data, write-data, introspect, end, revocations, events, operator)"
		secret   = "hunter2-hunter2-hunter2-hunter2-hunter2"
		keyset   = "; it must be a keyset as `api data keys generate` makes one: Tink's JSON, not encrypted, with keys for XAES-256-GCM or AES-256-GCM"
		sealing  = "; it must be 32 random bytes in base64, such as `openssl rand -base64 32` prints, or several of these, separated by commas: the first seals, all open"
	)
	configured := env{"LATCHKEY_DATABASE_URL": "postgres://localhost:1/x", "LATCHKEY_SIGNING_KEYS_FILE": "keys.json", "LATCHKEY_SERVICE_KEYS": "a:" + secret}

	for _, c := range []struct {
		settings env
		want     string
	}{
		{env{"LATCHKEY_DATABASE_URL": "postgres://u:" + secret + "@host:port/db"}, "LATCHKEY_DATABASE_URL is not an address of a PostgreSQL database (invalid port)" + database},
		{env{"LATCHKEY_DATABASE_URL": "postgres://u:" + secret + "@host/db?sslmode=verify-full&sslrootcert=/none"}, "LATCHKEY_DATABASE_URL is an address that names an unreadable file (failed to configure TLS (unable to read CA file: open /none: no such file or directory))" + database},
		{env{"LATCHKEY_DATABASE_URL": "postgres://u:" + secret + "@host/db?servicefile=/none&service=x"}, "LATCHKEY_DATABASE_URL is an address that names an unreadable file (failed to read service (failed to read service file: /none))" + database},
		{env{"LATCHKEY_DATABASE_URL": "postgres://u:%zz" + secret + "@host/db"}, "LATCHKEY_DATABASE_URL is not an address of a PostgreSQL database (failed to parse as URL (invalid percent-encoded token in password))" + database},
		{env{"LATCHKEY_DATABASE_URL": "mysql://u:" + secret + "@host/db"}, "LATCHKEY_DATABASE_URL is not an address of a PostgreSQL database (failed to parse as keyword/value (invalid keyword/value))" + database},
		{configured.With(env{"LATCHKEY_DIRECT_DATABASE_URL": "\r\n"}), "LATCHKEY_DIRECT_DATABASE_URL is empty; it must be a libpq URL such as postgres://user:password@host:5432/database?sslmode=verify-full"},
		{env{"LATCHKEY_VAR_DIR": " var"}, `LATCHKEY_VAR_DIR is " var"` + text},
		{env{"LATCHKEY_PUBLIC_ADDR": "8080"}, `LATCHKEY_PUBLIC_ADDR is "8080"` + address},
		{env{"LATCHKEY_PUBLIC_ADDR": ":http"}, `LATCHKEY_PUBLIC_ADDR is ":http"` + address},
		{env{"LATCHKEY_PUBLIC_ADDR": ":99999"}, `LATCHKEY_PUBLIC_ADDR is ":99999"` + address},
		{env{"LATCHKEY_INTERNAL_ADDR": "localhost"}, `LATCHKEY_INTERNAL_ADDR is "localhost"` + address},
		{env{"LATCHKEY_INTERNAL_ADDR": ":8080"}, `LATCHKEY_INTERNAL_ADDR is ":8080"; it must be any address but LATCHKEY_PUBLIC_ADDR's`},
		{env{"LATCHKEY_CORS_ORIGINS": "*"}, `LATCHKEY_CORS_ORIGINS is "*"` + origin},
		{env{"LATCHKEY_CORS_ORIGINS": "null"}, `LATCHKEY_CORS_ORIGINS is "null"` + origin},
		{env{"LATCHKEY_CORS_ORIGINS": "https://*.example.com"}, `LATCHKEY_CORS_ORIGINS is "https://*.example.com"` + origin},
		{env{"LATCHKEY_CORS_ORIGINS": "https://app.example.com/"}, `LATCHKEY_CORS_ORIGINS is "https://app.example.com/"` + origin},
		{env{"LATCHKEY_CORS_ORIGINS": "https://App.example.com"}, `LATCHKEY_CORS_ORIGINS is "https://App.example.com"` + origin},
		{env{"LATCHKEY_CORS_ORIGINS": "https://app.example.com:443"}, `LATCHKEY_CORS_ORIGINS is "https://app.example.com:443"` + origin},
		{env{"LATCHKEY_CORS_ORIGINS": "https://app.example.com,,"}, `LATCHKEY_CORS_ORIGINS is "https://app.example.com,,"` + origin},
		{env{"LATCHKEY_RATE_LIMIT": "-1"}, `LATCHKEY_RATE_LIMIT is "-1"` + number},
		{env{"LATCHKEY_RATE_LIMIT": "ten"}, `LATCHKEY_RATE_LIMIT is "ten"` + number},
		{env{"LATCHKEY_RATE_LIMIT_SESSION": "1.5"}, `LATCHKEY_RATE_LIMIT_SESSION is "1.5"` + number},
		{env{"LATCHKEY_RATE_LIMIT_SESSION": "4"}, "LATCHKEY_RATE_LIMIT_SESSION is 4; it must be 0 or a number above 4: a refused client waits for a minute divided by it, which must be less than LATCHKEY_REFRESH_GRACE, 15s"},
		{env{"LATCHKEY_DPOP_NONCE": "on"}, `LATCHKEY_DPOP_NONCE is "on"; it must be true or false`},
		{env{"LATCHKEY_TRUSTED_PROXIES": "10.0.0.0/33"}, `LATCHKEY_TRUSTED_PROXIES is "10.0.0.0/33"` + network},
		{env{"LATCHKEY_TRUSTED_PROXIES": "proxy.local"}, `LATCHKEY_TRUSTED_PROXIES is "proxy.local"` + network},
		{env{"LATCHKEY_ISSUER": "login.example.com"}, `LATCHKEY_ISSUER is "login.example.com"` + url},
		{env{"LATCHKEY_ISSUER": "http://login.example.com"}, `LATCHKEY_ISSUER is "http://login.example.com"` + url},
		{env{"LATCHKEY_ISSUER": "https://login.example.com/"}, `LATCHKEY_ISSUER is "https://login.example.com/"` + url},
		{env{"LATCHKEY_ISSUER": "https://login.example.com?x"}, `LATCHKEY_ISSUER is "https://login.example.com?x"` + url},
		{env{"LATCHKEY_ISSUER": "https://u:p@login.example.com"}, `LATCHKEY_ISSUER is "https://u:p@login.example.com"` + url},
		{env{"LATCHKEY_AUDIENCES_ACCEPTED": "a,,b"}, `LATCHKEY_AUDIENCES_ACCEPTED is "a,,b"; it must be names without control characters, separated by commas`},
		{env{"LATCHKEY_AUDIENCE": "a\nb"}, `LATCHKEY_AUDIENCE is "a\nb"` + text},
		{env{"LATCHKEY_CLIENT_ID": " "}, `LATCHKEY_CLIENT_ID is " "` + text},
		{env{"LATCHKEY_SERVICE_KEYS": secret}, "LATCHKEY_SERVICE_KEYS is not usable (key 1 has no name)" + keys},
		{env{"LATCHKEY_SERVICE_KEYS": "a:short"}, `LATCHKEY_SERVICE_KEYS is not usable (the secret of "a" has 5 characters)` + keys},
		{env{"LATCHKEY_SERVICE_KEYS": "a:" + secret + ",a:x" + secret}, `LATCHKEY_SERVICE_KEYS is not usable (the name "a" occurs twice)` + keys},
		{env{"LATCHKEY_SERVICE_KEYS": "a:" + secret + ",b:" + secret}, `LATCHKEY_SERVICE_KEYS is not usable (the secret of "b" is another key's too)` + keys},
		{env{"LATCHKEY_SERVICE_KEYS": "a b:" + secret}, "LATCHKEY_SERVICE_KEYS is not usable (key 1 has no name)" + keys},
		{env{"LATCHKEY_SERVICE_KEYS": "a:" + secret + "!"}, `LATCHKEY_SERVICE_KEYS is not usable (the secret of "a" has characters other than letters, digits and ._~+/-)` + keys},
		{env{"LATCHKEY_SERVICE_KEYS": "a:" + secret + ":read+wright"}, `LATCHKEY_SERVICE_KEYS is not usable (the rights of "a": "wright" is not one of ` + rights + keys},
		{env{"LATCHKEY_SERVICE_KEYS": "a:" + secret + ":"}, `LATCHKEY_SERVICE_KEYS is not usable (the rights of "a": "" is not one of ` + rights + keys},
		{env{"LATCHKEY_SERVICE_KEYS": secret + ":create+read+read-data+write-data"}, "LATCHKEY_SERVICE_KEYS is not usable (key 1 has rights where its secret should be)" + keys},
		{env{"LATCHKEY_SERVICE_KEYS": ","}, "LATCHKEY_SERVICE_KEYS is not usable (there is none)" + keys},
		{env{"LATCHKEY_SERVICE_KEYS": "a:" + secret, "LATCHKEY_SERVICE_KEYS_FILE": "f"}, "LATCHKEY_SERVICE_KEYS and LATCHKEY_SERVICE_KEYS_FILE are both set; only one of them may be"},
		{env{"LATCHKEY_COMPAS_SIGNING_KEY": "hunter2hunter2hunter"[:19]}, "LATCHKEY_COMPAS_SIGNING_KEY is not usable; it must be the signingKey that your Compas application used, of 20 characters or more"},
		{env{"LATCHKEY_KEEP_ALIVE_TIMEOUT": "0s"}, "LATCHKEY_KEEP_ALIVE_TIMEOUT is 0s; it must be a duration above 0, such as 2m"},
		{env{"LATCHKEY_ACCESS_TOKEN_TTL": "5 minutes"}, `LATCHKEY_ACCESS_TOKEN_TTL is "5 minutes"` + duration},
		{env{"LATCHKEY_ACCESS_TOKEN_TTL": "1500ms"}, `LATCHKEY_ACCESS_TOKEN_TTL is "1500ms"` + duration},
		{env{"LATCHKEY_ACCESS_TOKEN_TTL": "-5m"}, `LATCHKEY_ACCESS_TOKEN_TTL is "-5m"` + duration},
		{env{"LATCHKEY_ACCESS_TOKEN_TTL": "30s"}, "LATCHKEY_ACCESS_TOKEN_TTL is 30s; it must be a duration above three times LATCHKEY_REFRESH_GRACE, which is 15s"},
		{env{"LATCHKEY_REFRESH_TOKEN_TTL": "30"}, `LATCHKEY_REFRESH_TOKEN_TTL is "30"` + duration},
		{env{"LATCHKEY_ACCESS_TOKEN_TTL": "25h"}, "LATCHKEY_ACCESS_TOKEN_TTL is 25h0m0s; it must be a duration up to 24h"},
		{env{"LATCHKEY_REVOCATION_BOUND": "0"}, "LATCHKEY_REVOCATION_BOUND is 0s; it must be a duration of 1s or more"},
		{env{"LATCHKEY_REFRESH_TOKEN_TTL": "600000h"}, "LATCHKEY_REFRESH_TOKEN_TTL is 600000h0m0s; it must be a duration up to 596523h14m7s"},
		{env{"LATCHKEY_SESSION_TTL": "600000h"}, "LATCHKEY_SESSION_TTL is 600000h0m0s; it must be a duration up to 596523h14m7s"},
		{env{"LATCHKEY_REFRESH_TOKEN_TTL": "5m"}, "LATCHKEY_REFRESH_TOKEN_TTL is 5m0s; it must be a duration above LATCHKEY_ACCESS_TOKEN_TTL, which is 5m0s"},
		{env{"LATCHKEY_REFRESH_TOKEN_TTL": "0"}, "LATCHKEY_REFRESH_TOKEN_TTL is 0s; it must be 0, for no idle timeout, if LATCHKEY_SESSION_TTL is set; otherwise a duration above LATCHKEY_ACCESS_TOKEN_TTL"},
		{env{"LATCHKEY_REFRESH_TOKEN_TTL": "0", "LATCHKEY_SESSION_TTL": "24h", "LATCHKEY_REFRESH_TOKEN_TTL_MAX": "1h"}, "LATCHKEY_REFRESH_TOKEN_TTL is 0s, for no idle timeout; it must be a duration up to LATCHKEY_REFRESH_TOKEN_TTL_MAX, which is 1h0m0s"},
		{env{"LATCHKEY_ACCESS_TOKEN_TTL_MAX": "25h"}, "LATCHKEY_ACCESS_TOKEN_TTL_MAX is 25h0m0s; it must be a duration up to 24h"},
		{env{"LATCHKEY_ACCESS_TOKEN_TTL_MIN": "6m"}, "LATCHKEY_ACCESS_TOKEN_TTL is 5m0s; it must be a duration from LATCHKEY_ACCESS_TOKEN_TTL_MIN on, which is 6m0s"},
		{env{"LATCHKEY_REFRESH_TOKEN_TTL_MAX": "30m"}, "LATCHKEY_REFRESH_TOKEN_TTL is 720h0m0s; it must be a duration up to LATCHKEY_REFRESH_TOKEN_TTL_MAX, which is 30m0s"},
		{env{"LATCHKEY_SESSION_TTL_MAX": "24h"}, "LATCHKEY_SESSION_TTL is 0s, for no end; it must be a duration up to LATCHKEY_SESSION_TTL_MAX, which is 24h0m0s"},
		{env{"LATCHKEY_SESSION_TTL_MAX": "1h", "LATCHKEY_SESSION_TTL_MIN": "2h"}, "LATCHKEY_SESSION_TTL_MAX is 1h0m0s; it must be a duration from LATCHKEY_SESSION_TTL_MIN on, which is 2h0m0s"},
		{env{"LATCHKEY_SESSION_TTL_MIN": "600000h"}, "LATCHKEY_SESSION_TTL_MIN is 600000h0m0s; it must be a duration up to 596523h14m7s"},
		{env{"LATCHKEY_SESSION_TTL": "none"}, `LATCHKEY_SESSION_TTL is "none"` + duration},
		{env{"LATCHKEY_SESSION_TTL": "999999h"}, `LATCHKEY_SESSION_TTL is "999999h"` + duration},
		{env{"LATCHKEY_REFRESH_GRACE": "fast"}, `LATCHKEY_REFRESH_GRACE is "fast"` + duration},
		{env{"LATCHKEY_REFRESH_GRACE": "0"}, "LATCHKEY_REFRESH_GRACE is 0s; it must be a duration above 0, such as 15s"},
		{env{"LATCHKEY_LATE_RETRY_LIMIT": "8.5"}, `LATCHKEY_LATE_RETRY_LIMIT is "8.5"` + number},
		{env{"LATCHKEY_LATE_RETRY_LIMIT": "0"}, "LATCHKEY_LATE_RETRY_LIMIT is 0; it must be a number of 1 or more"},
		{env{"LATCHKEY_SESSIONS_PER_SUBJECT": "none"}, `LATCHKEY_SESSIONS_PER_SUBJECT is "none"` + number},
		{env{"LATCHKEY_SESSIONS_PER_SUBJECT_ACTION": "end_newest"}, `LATCHKEY_SESSIONS_PER_SUBJECT_ACTION is "end_newest"; it must be end_oldest or refuse`},
		{env{"LATCHKEY_LEAK_WEBHOOK_URL": "http://hunter2@alerts.example.com"}, "LATCHKEY_LEAK_WEBHOOK_URL is not an address that reports can be sent to; it must be an https URL such as https://alerts.example.com/latchkey (or http://localhost:9000 for this machine only)"},
		{env{"LATCHKEY_LEAK_WEBHOOK_SECRET": "whsec_hunter2"}, "LATCHKEY_LEAK_WEBHOOK_SECRET is not usable; it must be whsec_ followed by 24 to 64 random bytes in base64, as `echo whsec_$(openssl rand -base64 32)` makes it"},
		{env{"LATCHKEY_DIRECT_DATABASE_URL": "postgres://u:hunter2@db.example.com/x"}, "LATCHKEY_DIRECT_DATABASE_URL is set and LATCHKEY_DATABASE_URL is not: it must be set together with a LATCHKEY_DATABASE_URL that leads to a PgBouncer"},
		{env{"LATCHKEY_LEAK_WEBHOOK_URL": "https://hunter2@alerts.example.com"}, "LATCHKEY_LEAK_WEBHOOK_URL and LATCHKEY_LEAK_WEBHOOK_SECRET: only one of them is set; set both or neither"},
		{env{"LATCHKEY_CLEANUP_INTERVAL": "daily"}, `LATCHKEY_CLEANUP_INTERVAL is "daily"` + duration},
		{env{"LATCHKEY_CLEANUP_RETENTION": "14d"}, `LATCHKEY_CLEANUP_RETENTION is "14d"` + duration},
		{env{"LATCHKEY_CLEANUP_RETENTION": "0"}, "LATCHKEY_CLEANUP_RETENTION is 0s; it must be a duration of 25h or more"},
		{env{"LATCHKEY_CLEANUP_SESSION_MAX_AGE": "x"}, `LATCHKEY_CLEANUP_SESSION_MAX_AGE is "x"` + duration},
		{env{"LATCHKEY_CLEANUP_SESSION_MAX_AGE": "1m"}, "LATCHKEY_CLEANUP_SESSION_MAX_AGE is 1m0s; it must be a duration of 1h or more, or 0 for none"},
		{env{"LATCHKEY_KEY_ENCRYPTION_KEY": secret}, "LATCHKEY_KEY_ENCRYPTION_KEY is not usable" + sealing},
		{env{"LATCHKEY_KEY_ENCRYPTION_KEY": sealingKey("a") + "," + secret}, "LATCHKEY_KEY_ENCRYPTION_KEY is not usable" + sealing},
		{env{"LATCHKEY_DATA_ENCRYPTION_KEYSET": `{"primaryKeyId":1,"key":[{"keyData":{"value":"` + secret + `"}}]}`}, "LATCHKEY_DATA_ENCRYPTION_KEYSET is not usable" + keyset},
		{env{"LATCHKEY_DATA_ENCRYPTION_KEYSET": dataKeyset(t), "LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE": "f"}, "LATCHKEY_DATA_ENCRYPTION_KEYSET and LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE are both set; only one of them may be"},
		{env{"LATCHKEY_KEY_ALGORITHM": "none"}, `LATCHKEY_KEY_ALGORITHM is "none"; it must be EdDSA, ES256, RS256, PS256 or HS256`},
		{env{"LATCHKEY_KEY_ROTATION_INTERVAL": "59m"}, "LATCHKEY_KEY_ROTATION_INTERVAL is 59m0s; it must be a duration of 1h or more, or 0 for none"},
		{env{"LATCHKEY_LOG_LEVEL": "loud"}, `LATCHKEY_LOG_LEVEL is "loud"; it must be debug, info, warn or error`},
		{env{"LATCHKEY_AUDIT_LOG": "off"}, `LATCHKEY_AUDIT_LOG is "off"; it must be none, stdout, or the path of a file, such as /var/log/latchkey/audit.log`},
		{env{"LATCHKEY_LOG_FORMAT": "xml"}, `LATCHKEY_LOG_FORMAT is "xml"; it must be text or json`},
		{configured.With(env{"LATCHKEY_SIGNING_KEYS_FILE": ""}), "LATCHKEY_SIGNING_KEYS_FILE is not set; it must be a file that `api keys init` or `api keys generate` made, or nothing if LATCHKEY_KEY_ENCRYPTION_KEY is set; LATCHKEY_DATABASE_URL is set, so none is made automatically"},
		{configured.With(env{"LATCHKEY_SERVICE_KEYS": ""}), "LATCHKEY_SERVICE_KEYS is not set" + keys + "; LATCHKEY_DATABASE_URL is set, so none is made automatically"},
		{env{"LATCHKEY_LOG_LEVEL": strings.Repeat("x", 100)}, `LATCHKEY_LOG_LEVEL is "` + strings.Repeat("x", 80) + `…"; it must be debug, info, warn or error`},
	} {
		r := line(c.settings)
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
		{[]string{"--access-token-ttl", "5 minutes"}, `api: --access-token-ttl is "5 minutes"; it must be a duration in whole seconds, such as 15s, 5m or 720h, up to 876000h`},
		{[]string{"serve", "--public-addr=x"}, `api: --public-addr is "x"; it must be host:port or :port, such as 127.0.0.1:8081 or :8080`},
		{[]string{"cleanup", "--cleanup-retention=x"}, `api: --cleanup-retention is "x"; it must be a duration in whole seconds, such as 15s, 5m or 720h, up to 876000h`},
	} {
		// The variable is fine, and the flag wins.
		r := line(env{"LATCHKEY_ACCESS_TOKEN_TTL": "5m", "LATCHKEY_PUBLIC_ADDR": ":1"}, c.args...)
		if r.code != 2 || r.stderr != c.want+"\n" {
			t.Errorf("%v: exit code %d: %s", c.args, r.code, r.stderr)
		}
	}
}

// A command is not stopped by the settings of another.
func TestOtherCommandsSettingsDoNotMatter(t *testing.T) {
	t.Parallel()

	r := line(env{"LATCHKEY_ACCESS_TOKEN_TTL": "x", "LATCHKEY_DATABASE_URL": "x", "LATCHKEY_PUBLIC_ADDR": "x"}, "version")
	if r.code != 0 || r.stdout != builtVersion+"\n" || r.stderr != "" {
		t.Errorf("exit code %d: %s%s", r.code, r.stdout, r.stderr)
	}
}
