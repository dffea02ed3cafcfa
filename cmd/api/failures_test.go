package main_test

import (
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/migrations"
)

// Each expected failure is one line on standard error, and an exit code.
func TestFailures(t *testing.T) {
	t.Parallel()
	const unknown, other = "018f7e3a-0000-7000-8000-000000000000", "018f7e3a-0000-7000-8000-000000000001"
	dir := t.TempDir()
	database := testdb.URL(t)
	empty := emptyDatabase(t)
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	file := writeFile(t, "{}", dir, "file")
	settings := configure(t, database).With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"})
	wrongPassword, wrongName := changeURL(t, database, func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "wrong-password") }),
		changeURL(t, database, func(u *url.URL) { u.Path = "/nowhere" })

	for name, c := range map[string]struct {
		settings env
		args     []string
		code     int
		want     []string // parts, in this order
	}{
		"public port taken":   {settings.With(env{"LATCHKEY_PUBLIC_ADDR": taken.Addr().String()}), nil, 1, []string{"LATCHKEY_PUBLIC_ADDR: listen tcp " + taken.Addr().String(), "address already in use"}},
		"internal port taken": {settings.With(env{"LATCHKEY_INTERNAL_ADDR": taken.Addr().String()}), nil, 1, []string{"LATCHKEY_INTERNAL_ADDR: listen tcp " + taken.Addr().String(), "address already in use"}},
		"address elsewhere":   {settings.With(env{"LATCHKEY_PUBLIC_ADDR": "192.0.2.1:80"}), nil, 1, []string{"LATCHKEY_PUBLIC_ADDR: listen tcp 192.0.2.1:80", "cannot assign requested address"}},
		"wrong password":      {settings.With(env{"LATCHKEY_DATABASE_URL": wrongPassword}), nil, 1, []string{"the database of LATCHKEY_DATABASE_URL cannot be used:", "password authentication failed"}},
		"no such database":    {settings.With(env{"LATCHKEY_DATABASE_URL": wrongName}), nil, 1, []string{"the database of LATCHKEY_DATABASE_URL cannot be used:", `database "nowhere" does not exist`}},
		"not migrated":        {settings.With(env{"LATCHKEY_DATABASE_URL": empty}), nil, 1, []string{"the database schema is behind this program: run `api migrate`"}},
		"no keys file":        {settings.With(env{"LATCHKEY_SIGNING_KEYS_FILE": "nokeys"}), nil, 1, []string{"read the signing keys: open nokeys: no such file"}},
		"no keys in it":       {settings.With(env{"LATCHKEY_SIGNING_KEYS_FILE": file}), nil, 1, []string{"signing keys in " + file + ": the JWK set has no keys"}},
		"no service keys":     {settings.With(env{"LATCHKEY_SERVICE_KEYS": "", "LATCHKEY_SERVICE_KEYS_FILE": "nokeys"}), nil, 1, []string{"read the service keys: open nokeys: no such file"}},
		"bad service keys":    {settings.With(env{"LATCHKEY_SERVICE_KEYS": "", "LATCHKEY_SERVICE_KEYS_FILE": file}), nil, 1, []string{file + " holds no usable service keys", "the secret of \"default\" has 2 characters"}},
		"folder is a file":    {env{"LATCHKEY_VAR_DIR": file}, []string{"--public-addr=127.0.0.1:0", "--internal-addr=127.0.0.1:0"}, 1, []string{"make a folder for the database: mkdir " + file + ": not a directory"}},
		"keys folder":         {env{"LATCHKEY_VAR_DIR": file}, []string{"keys", "init"}, 1, []string{"make a folder for keys: mkdir " + file + ": not a directory"}},

		"unknown command":       {nil, []string{"start"}, 2, []string{"unexpected argument start (see api --help)"}},
		"unknown flag":          {nil, []string{"--publik-addr=:1"}, 2, []string{`unknown flag --publik-addr, did you mean "--public-addr"? (see api --help)`}},
		"unknown flag, command": {nil, []string{"version", "--jsn"}, 2, []string{`unknown flag --jsn, did you mean "--json"? (see api --help)`}},
		"no subcommand":         {nil, []string{"keys"}, 2, []string{"expected one of \"init\", \"generate\", \"list\", \"export\", \"rotate\", ... (see api --help)"}},
		"which sessions":        {nil, []string{"sessions", "revoke"}, 2, []string{"name the sessions to end by their ids, --subject or --all"}},
		"two ways to say it":    {nil, []string{"sessions", "revoke", "--all", "--yes", "--subject=ada"}, 2, []string{"name the sessions to end by their ids, --subject or --all"}},
		"each of which":         {nil, []string{"sessions", "revoke", "--subject=ada", "--each"}, 2, []string{"--each is only for --all"}},
		"all, but not meant":    {nil, []string{"sessions", "revoke", "--all"}, 2, []string{"--all signs all users out; confirm with --yes"}},
		"not an id":             {nil, []string{"sessions", "revoke", "x"}, 2, []string{"invalid UUID"}},
		"data loss":             {env{"LATCHKEY_DATABASE_URL": empty}, []string{"migrate", "down"}, 2, []string{"confirm with --yes, or look at it with --dry-run"}},
		"algorithm":             {nil, []string{"keys", "generate", "--algorithm=none"}, 2, []string{`--algorithm must be one of`, `but got "none"`}},
		"no database at all":    {nil, []string{"sessions", "list", "--subject=ada"}, 1, []string{"there is no database: LATCHKEY_DATABASE_URL is not set, and ./var holds none; with LATCHKEY_DATABASE_URL=private, api migrate makes one there"}},
		"tables missing":        {env{"LATCHKEY_DATABASE_URL": empty}, []string{"cleanup"}, 1, []string{"run `api migrate`"}},
		"unknown sessions":      {env{"LATCHKEY_DATABASE_URL": database}, []string{"sessions", "revoke", unknown, other}, 1, []string{"session " + unknown + ": no such session; session " + other + ": no such session"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := api(t, c.settings, c.args...)
			if r.code != c.code || r.stdout != "" || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("exit code %d, want %d:\n%s%s", r.code, c.code, r.stdout, r.stderr)
			}
			rest, ok := strings.CutPrefix(r.stderr, "api: ")
			for _, part := range c.want {
				var found bool
				_, rest, found = strings.Cut(rest, part)
				ok = ok && found
			}
			if !ok || strings.Contains(r.stderr, "-password") {
				t.Errorf("standard error is\n%swant, in this order, %q", r.stderr, c.want)
			}
		})
	}
}

func changeURL(t *testing.T, database string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

// emptyDatabase is one that was never migrated.
func emptyDatabase(t *testing.T) string {
	t.Helper()
	database := testdb.URL(t)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), `DROP SCHEMA public, `+migrations.RiverSchema+` CASCADE; CREATE SCHEMA public`); err != nil {
		t.Fatal(err)
	}
	return database
}

func TestNothingIsLeftAfterAFailedStart(t *testing.T) {
	t.Parallel()
	dir := place(t)

	// Both listeners are opened before anything is made.
	r := apiIn(t, dir, env{"LATCHKEY_PUBLIC_ADDR": "192.0.2.1:80"})
	if _, err := os.Stat(filepath.Join(dir, "var")); r.code != 1 || err == nil {
		t.Errorf("exit code %d, and the folder was made", r.code)
	}
}
