package main_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// dataKeyset is a LATCHKEY_DATA_ENCRYPTION_KEYSET.
func dataKeyset(t *testing.T) string {
	t.Helper()
	keys, err := dataseal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var madeDataKey = regexp.MustCompile(`^made key (\d+) in `)

// generateDataKey returns the name of a key that was added to a file.
func generateDataKey(t *testing.T, file, does string) string {
	t.Helper()
	printed := mustLine(t, nil, "data", "keys", "generate", "--file", file)
	m := madeDataKey.FindStringSubmatch(printed)
	if m == nil || printed != m[0]+file+": "+does+"\n" {
		t.Fatalf("printed %q", printed)
	}
	return m[1]
}

const opensOnly = "it opens, but does not seal until you promote it, once every replica has it"

func TestDataKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keyset.json")
	old := generateDataKey(t, file, "it seals")
	checkMode(t, file, 0o600)
	added := generateDataKey(t, file, opensOnly)
	checkMode(t, file, 0o600)

	secret := readFile(t, file)
	list := func(want string) {
		t.Helper()
		r := line(nil, "data", "keys", "list", "--data-encryption-keyset-file", file)
		if got := strings.Join(strings.Fields(r.stdout), " "); r.code != 0 || got != "KEY ALGORITHM USE "+want {
			t.Errorf("%v, want %s", r, want)
		}
	}
	list(old + " XAES-256-GCM seals " + added + " XAES-256-GCM opens")
	if r := line(nil, "data", "keys", "remove", old, "--file", file); r.code != 1 || !strings.HasSuffix(r.stderr, "the key seals data: make another one the primary key first\n") {
		t.Errorf("removing the key that seals: %v", r)
	}
	mustLine(t, nil, "data", "keys", "promote", added, "--file", file)
	list(old + " XAES-256-GCM opens " + added + " XAES-256-GCM seals")
	mustLine(t, nil, "data", "keys", "remove", old, "--file", file)
	list(added + " XAES-256-GCM seals")
	if r := line(nil, "data", "keys", "promote", old, "--file", file); r.code != 1 || r.stderr != `api: key "`+old+`" in `+file+": the keyset has no such key\n" {
		t.Errorf("promoting a missing key: %v", r)
	}
	checkMode(t, file, 0o600)

	printed := mustLine(t, nil, "data", "keys", "generate")
	r := line(env{"LATCHKEY_DATA_ENCRYPTION_KEYSET": printed}, "data", "keys", "list", "--json")
	if r.code != 0 || strings.Count(r.stdout, `"kid"`) != 1 || !strings.Contains(r.stdout, `"primary": true`) {
		t.Errorf("a keyset that was printed: %v", r)
	}
	for _, text := range []string{secret, printed} {
		_, value, _ := strings.Cut(text, `"value":`)
		if value = strings.Trim(value[:40], `" `); strings.Contains(r.stdout+r.stderr, value) {
			t.Error("a secret is printed")
		}
	}

	notOne := writeFile(t, secret[:50], t.TempDir(), "broken")
	for _, args := range [][]string{
		{"generate", "--file", notOne},
		{"promote", "1", "--file", notOne},
		{"remove", "1", "--file", notOne},
		{"list", "--data-encryption-keyset-file", notOne},
	} {
		r := line(nil, append([]string{"data", "keys"}, args...)...)
		if r.code != 1 || !strings.HasPrefix(r.stderr, "api: "+notOne+" holds no usable keyset; it must hold a keyset as `api data keys generate` makes one") || strings.Contains(r.stderr, secret[10:40]) {
			t.Errorf("%v: %v", args, r)
		}
	}
	if readFile(t, notOne) != secret[:50] {
		t.Error("a file that is no keyset was overwritten")
	}
}

// An operator turns sealing on, replaces the key and turns it off again. The
// service answers all the time, and the database shows data only while it
// should.
func TestSealedData(t *testing.T) {
	t.Parallel()
	const note = "only-the-backend-may-read-this"
	dir, database := t.TempDir(), testdb.URL(t)
	settings := configure(t, database)
	file := filepath.Join(dir, "keyset.json")
	first := generateDataKey(t, file, "it seals")
	sealed := settings.With(env{"LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE": file})
	task := env{"LATCHKEY_DATABASE_URL": database, "LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE": file}

	s := start(t, dir, settings)
	unsealed := s.CreateSession(testKey, `{"subject":"ada","data":{"note":"`+note+`"}}`)
	s.End(syscall.SIGTERM)
	s = start(t, dir, sealed)
	kept := s.CreateSession(testKey, `{"subject":"ada","data":{"note":"`+note+`"}}`)
	if !strings.Contains(s.Stderr.String(), `"msg":"session data is sealed","key":"`+first+`"`) {
		t.Errorf("the log does not name the key:\n%s", s.Stderr)
	}
	reencrypt := func(want string, args ...string) {
		t.Helper()
		r := line(task, append([]string{"data", "reencrypt"}, args...)...)
		got := regexp.MustCompile(` in [0-9.]+m?s`).ReplaceAllString(strings.Join(strings.Fields(r.stdout), " "), "")
		if r.code != 0 || got != want {
			t.Errorf("reencrypt %v: exit code %d: %q, want %q\n%s", args, r.code, got, want, r.stderr)
		}
	}
	const all = " everything is sealed: when every replica has the keyset, LATCHKEY_DATA_SEALED_ONLY=true can be set"
	reencrypt("KEY ROWS USE "+first+" 1 seals - 1 not sealed", "--dry-run")
	if !strings.Contains(rowsOf(t, database), note) {
		t.Error("a dry run changed something")
	}
	reencrypt("resealed 1 row with key " + first + " KEY ROWS USE " + first + " 2 seals" + all)

	second := generateDataKey(t, file, opensOnly)
	mustLine(t, nil, "data", "keys", "promote", second, "--file", file)
	reencrypt("resealed 2 rows with key " + second + " KEY ROWS USE " + second + " 2 seals " + first + " 0 opens" + all)
	if code, answer := s.session(kept); code != http.StatusServiceUnavailable {
		t.Errorf("a replica that was not told of the new key answers %d: %s", code, answer)
	}
	s.End(syscall.SIGTERM)
	mustLine(t, nil, "data", "keys", "remove", first, "--file", file)
	if strings.Contains(rowsOf(t, database), note) {
		t.Error("the database shows session data")
	}

	refused := api(t, settings.With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}), "serve")
	if refused.code != 1 || !strings.Contains(refused.stderr, `api: live sessions could not be served: LATCHKEY_DATA_ENCRYPTION_KEYSET lacks a key (session data that was sealed with key "`+second+`" cannot be opened: `) {
		t.Errorf("without the keyset: %v", refused)
	}
	start(t, dir, settings.With(env{"LATCHKEY_ACCEPT_SIGN_OUT": "true"})).End(syscall.SIGTERM)
	s = start(t, dir, settings)
	if log := s.Stderr.String(); !strings.Contains(log, `"level":"ERROR","msg":"sealed session data cannot be opened: LATCHKEY_DATA_ENCRYPTION_KEYSET lacks a key`) {
		t.Errorf("a replica without the keyset does not tell:\n%s", log)
	}
	s.End(syscall.SIGTERM)
	wrong := line(task.With(env{"LATCHKEY_DATA_ENCRYPTION_KEYSET_FILE": "", "LATCHKEY_DATA_ENCRYPTION_KEYSET": dataKeyset(t)}), "data", "reencrypt", "--unseal")
	if wrong.code != 1 || !strings.Contains(wrong.stderr, `api: 2 rows are left, of which 2 cannot be opened, such as that of session `+unsealed.Session.ID+`: session data that was sealed with key "`+second+`" cannot be opened: the keyset does not have the key`) {
		t.Errorf("with another keyset: %v", wrong)
	}
	s = start(t, dir, sealed.With(env{"LATCHKEY_DATA_SEALED_ONLY": "true"}))
	for _, pair := range []testservice.Pair{unsealed, kept} {
		if code, answer := s.session(pair); code != http.StatusOK || !strings.Contains(answer, note) {
			t.Errorf("its session: %d %s", code, answer)
		}
	}
	if log := s.Stderr.String(); strings.Contains(log, note) || strings.Contains(log, "keyData") {
		t.Errorf("the log has a secret:\n%s", log)
	}
	reencrypt("unsealed 2 rows KEY ROWS USE "+second+" 0 seals - 2 not sealed", "--unseal")
	if !strings.Contains(rowsOf(t, database), note) {
		t.Error("nothing was unsealed")
	}
	if code, answer := s.session(kept); code != http.StatusServiceUnavailable || strings.Contains(answer, note) {
		t.Errorf("data that is not sealed, where only sealed data is accepted: %d %s", code, answer)
	}
	s.Await("a log line about data that is not sealed", func() bool {
		return strings.Contains(s.Stderr.String(), "it is not sealed, and only sealed data is accepted")
	})
	alone := api(t, settings.With(env{"LATCHKEY_DATA_SEALED_ONLY": "true"}), "serve")
	if !strings.Contains(alone.stderr, "LATCHKEY_DATA_SEALED_ONLY is true without a keyset") {
		t.Errorf("without a keyset: %v", alone)
	}
}

func (s *service) session(pair testservice.Pair) (code int, answer string) {
	s.t.Helper()
	return s.Send(http.MethodGet, s.Internal+"/v1/sessions/"+pair.Session.ID, testKey, nil)
}

// rowsOf is what a reader of the database sees of sessions.
func rowsOf(t *testing.T, database string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var all string
	if err := conn.QueryRow(t.Context(), `SELECT string_agg(s::text, E'\n') FROM "sessionStore" s`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}
