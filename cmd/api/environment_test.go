package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

const renamed = "settings have new names, and the old ones will not be read forever"

// A variable without the prefix is still read, and one line lists those that were.
func TestOldNames(t *testing.T) {
	t.Parallel()
	database, dir := testdb.URL(t), t.TempDir()
	mustLine(t, nil, "keys", "init", "--dir", dir)
	inFile := filepath.Join(dir, "database-url")
	if err := os.WriteFile(inFile, []byte(database), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		settings env
		args     string
		warns    string
	}{
		{env{"DATABASE_URL": database, "LOG_LEVEL": "warn", "ISSUER": "not read here"}, "migrate status", "DATABASE_URL to LATCHKEY_DATABASE_URL, LOG_LEVEL to LATCHKEY_LOG_LEVEL"},
		{env{"DATABASE_URL": database, "LATCHKEY_LOG_LEVEL": "warn"}, "migrate status", "DATABASE_URL to LATCHKEY_DATABASE_URL"},
		{env{"DATABASE_URL": database, "LATCHKEY_DATABASE_URL": database}, "migrate status", ""},
		{env{"LATCHKEY_DATABASE_URL_FILE": inFile}, "migrate status", ""},
		{env{"DATABASE_URL": "another program's", "LATCHKEY_DATABASE_URL": ""}, "migrate status --database-url=" + database, ""},
		{env{"DATABASE_URL": database, "ISSUER": "https://login.example.com"}, "version", ""},
		{env{"SIGNING_KEYS_FILE": filepath.Join(dir, "signing-keys.json")}, "keys list", "SIGNING_KEYS_FILE to LATCHKEY_SIGNING_KEYS_FILE"},
		{env{"LATCHKEY_DATA_ENCRYPTION_KEYSET": dataKeyset(t), "DATA_ENCRYPTION_KEYSET_FILE": ""}, "data keys list", ""},
		{env{"DATA_ENCRYPTION_KEYSET": dataKeyset(t)}, "data keys list", "DATA_ENCRYPTION_KEYSET to LATCHKEY_DATA_ENCRYPTION_KEYSET"}, // it has no log
	} {
		r := line(c.settings, strings.Fields(c.args)...)
		if c.warns == "" && r.code == 0 && r.stderr == "" {
			continue
		}
		if c.warns == "" || r.code != 0 || strings.Count(r.stderr, "\n") != 1 ||
			!strings.Contains(r.stderr, `"level":"WARN","msg":"`+renamed+`","rename":"`+c.warns+`"}`) {
			t.Errorf("%v, api %s: %v; it is to warn of %q", c.settings, c.args, r, c.warns)
		}
	}
}

// Every setting of a service may have its old name.
func TestServeUnderOldNames(t *testing.T) {
	t.Parallel()
	settings := env{}
	for name, value := range configure(t, testdb.URL(t)) {
		settings[strings.TrimPrefix(name, "LATCHKEY_")] = value
	}
	s := start(t, t.TempDir(), settings)
	s.CreateSession(testKey, `{"subject":"ada","data":{}}`)
	log := s.Stderr.String()
	if strings.Count(log, renamed) != 1 {
		t.Errorf("the log is %s", log)
	}
	for name := range settings {
		if strings.Count(log, name+" to LATCHKEY_"+name) != 1 {
			t.Errorf("%s is not named once: %s", name, log)
		}
	}
}

// An impossible variable stops the start before anything is done. Another program's does not.
func TestNamesOfVariables(t *testing.T) {
	t.Parallel()
	const (
		secret = "hunter2-hunter2-hunter2-hunter2-hunter2"
		quoted = " is in quotation marks, which are a part of its value here: leave them out (docker run --env-file and kubectl --from-env-file keep them)"
	)
	dir := t.TempDir()
	list := "keys list --file=" + filepath.Join(dir, "signing-keys.json")
	mustLine(t, nil, "keys", "init", "--dir", dir)
	for _, c := range []struct {
		settings env
		args     string
		want     string // empty if all is well
	}{
		{env{"LATCHKEY_DATABSE_URL": secret}, "serve", "LATCHKEY_DATABSE_URL is not a setting: did you mean LATCHKEY_DATABASE_URL?"},
		{env{"LATCHKEY_DATABSE_URL": secret}, "migrate", "LATCHKEY_DATABSE_URL is not a setting: did you mean LATCHKEY_DATABASE_URL?"},
		{env{"LATCHKEY_SERVICE_KEY": secret}, "migrate status", "LATCHKEY_SERVICE_KEY is not a setting: did you mean LATCHKEY_SERVICE_KEYS?"},
		{env{"LATCHKEY_ISUER": secret}, "keys init", "LATCHKEY_ISUER is not a setting: did you mean LATCHKEY_ISSUER?"},
		{env{"LATCHKEY_GRACE": secret}, "keys init", "LATCHKEY_GRACE is not a setting: did you mean LATCHKEY_REFRESH_GRACE?"},
		{env{"LATCHKEY_TRUSTED_PROXYS": secret}, "sessions list --subject=ada", "LATCHKEY_TRUSTED_PROXYS is not a setting: did you mean LATCHKEY_TRUSTED_PROXIES?"},
		{env{"Latchkey_Issuer": secret}, "serve", "Latchkey_Issuer is not a setting: did you mean LATCHKEY_ISSUER?"},
		{env{"latchkey_isuer": secret}, "migrate status", "latchkey_isuer is not a setting: did you mean LATCHKEY_ISSUER?"},
		{env{"LATCHKEY-DATABASE_URL": secret}, "migrate status", "LATCHKEY-DATABASE_URL is not a setting: did you mean LATCHKEY_DATABASE_URL?"},
		{env{"LATCHKEYDATABASE_URL_FILE": secret}, "migrate status", "LATCHKEYDATABASE_URL_FILE is not a setting: did you mean LATCHKEY_DATABASE_URL_FILE?"},
		{env{"LATCH_KEY_ISSUER": secret}, "keys init", "LATCH_KEY_ISSUER is not a setting: did you mean LATCHKEY_ISSUER?"},
		{env{"LACTHKEY_ISSUER": secret}, "keys init", "LACTHKEY_ISSUER is not a setting: did you mean LATCHKEY_ISSUER?"},
		{env{"LATCHKY_ISSUER": secret}, "keys init", "LATCHKY_ISSUER is not a setting: did you mean LATCHKEY_ISSUER?"},
		{env{"SERVICE_KEYS": "a:" + secret, "LATCHKEY_SERVICE_KEYS": "b:" + secret}, "serve", "SERVICE_KEYS and LATCHKEY_SERVICE_KEYS are both set, and differ: SERVICE_KEYS is the old name of LATCHKEY_SERVICE_KEYS, and only one of them may be set"},
		{env{"LATCHKEY_PUBLIC_PORT": "8080"}, "serve", "LATCHKEY_PUBLIC_PORT is not a setting: did you mean LATCHKEY_PUBLIC_ADDR?"},
		{env{"LATCHKEY_AUDIENCE": `"latchkey"`}, "serve", "LATCHKEY_AUDIENCE" + quoted},
		{env{"AUDIENCE": `'latchkey'`}, "serve", "AUDIENCE" + quoted},
		{env{"LATCHKEY_COMPAS_SIGNING_KEY": `"` + secret + `"`}, "serve", "LATCHKEY_COMPAS_SIGNING_KEY" + quoted},
		{env{"LATCHKEY_DATABASE_URL": `"private"`}, "migrate", "LATCHKEY_DATABASE_URL" + quoted},
		{env{"LATCHKEY_CLIENT_ID": `"`}, list, ""},
		{env{"PUBLIC_ADDR": "8080"}, "serve", `PUBLIC_ADDR is "8080"; it must be host:port or :port, such as 127.0.0.1:8081 or :8080`},

		{env{"LATCHKEY_DATABSE_URL": ""}, list, ""},
		{env{"DATABSE_URL": secret, "ISSUERS": secret, "LOCKKEEPER_ISSUER": secret, "KEY_ISSUER": secret, "LATCHKEYS_HOME": secret}, list, ""},
		{env{"LATCHKEY_ISSUER": "another command's", "LATCHKEY_CLEANUP_RETENTION": "too"}, list, ""},
		{env{"ISSUER": "one", "LATCHKEY_ISSUER": "another command's"}, list, ""},
		{env{"LATCHKEY_DATABSE_URL": secret}, "version", ""},
		{env{"LATCHKEY_DATABSE_URL": secret}, "--help", ""},
		{env{ // a Kubernetes service that is called latchkey, and one that is called latchkey-public
			"LATCHKEY_SERVICE_HOST": "10.0.0.1", "LATCHKEY_SERVICE_PORT": "80", "LATCHKEY_SERVICE_PORT_HTTP": "80", "LATCHKEY_PORT": "tcp://10.0.0.1:80",
			"LATCHKEY_PORT_80_TCP": "tcp://10.0.0.1:80", "LATCHKEY_PORT_80_TCP_PROTO": "tcp", "LATCHKEY_PORT_80_TCP_PORT": "80", "LATCHKEY_PORT_80_TCP_ADDR": "10.0.0.1",
			"LATCHKEY_PUBLIC_SERVICE_HOST": "10.0.0.1", "LATCHKEY_PUBLIC_PORT": "tcp://10.0.0.1:80",
		}, list, ""},
	} {
		r := line(c.settings, strings.Fields(c.args)...)
		if c.want == "" {
			if r.code != 0 || r.stderr != "" {
				t.Errorf("%v, api %s: %v", c.settings, c.args, r)
			}
			continue
		}
		if r.code != 2 || r.stderr != "api: "+c.want+"\n" || r.stdout != "" {
			t.Errorf("%v, api %s: %v, want %s", c.settings, c.args, r, c.want)
		}
	}
}
