package nodeverifier_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const (
	issuer     = "https://auth.example.com"
	audience   = "https://api.example.com"
	serviceKey = "a-service-key-that-only-tests-have-0001"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// The example does what it promises, against the service itself.
func TestNodeVerifier(t *testing.T) {
	t.Parallel()
	if os.Getenv("TEST_WITHOUT_NPM") != "" {
		t.Skip("make clients runs it")
	}
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is not installed: TEST_WITHOUT_NPM=1 leaves this out", program)
		}
	}
	dir := install(t)
	service := serve(t, inParts)
	run(t, dir, service, "node", "--test", "verifier.test.mjs")
	if runtime.GOOS == "linux" {
		// On a machine whose clock is wrong too.
		for _, ahead := range []time.Duration{time.Hour, -24 * time.Hour} {
			run(t, dir, append(serve(t, 1000), testdb.FakeClock(t, ahead)...), "node", "--test", "verifier.test.mjs")
		}
	}
}

func run(t *testing.T, dir string, environment []string, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env, command.WaitDelay = dir, append(os.Environ(), environment...), time.Second
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, output)
	}
}

// install copies the example and the package that it uses, and installs what they need. It returns where the example is.
func install(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	example, client := filepath.Join(root, "examples", "node-verifier"), filepath.Join(root, "clients", "server-js")
	for _, name := range []string{"package.json", "package-lock.json", "server.mjs", "verifier.test.mjs"} {
		if err := copyTree(name, filepath.Join(example, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json", "src"} {
		if err := copyTree(filepath.Join("..", "..", "clients", "server-js", name), filepath.Join(client, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{client, example} {
		run(t, dir, nil, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	}
	run(t, client, nil, "npm", "run", "--silent", "build")
	return example
}

func copyTree(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o600)
}

// inParts is a number of revoked sessions that arrive in parts.
const inParts = 30_000

// serve starts the service, with a number of revoked sessions, and returns what the example's test needs.
func serve(t *testing.T, sessions int) []string {
	t.Helper()
	pool := testdb.Pool(t)
	rows, err := pool.Query(t.Context(), `INSERT INTO "sessionStore" ("id", "checksum", "data", "revokedAt")
		SELECT gen_random_uuid(), '', '{}', now() FROM generate_series(1, $1::int) RETURNING "id"::text`, sessions)
	if err != nil {
		t.Fatal(err)
	}
	revoked, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	jwk, _, err := tokens.GenerateKey("ES256")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	store, err := sessionstore.New(pool, ring, sessionstore.Config{Tokens: tokens.Config{Issuer: issuer, Audience: audience}})
	if err != nil {
		t.Fatal(err)
	}
	accept, err := store.Verifier(verifier.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- accept.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	server, err := httpapi.New(store, ring, httpapi.Config{
		Issuer: issuer, ServiceKeys: []httpapi.ServiceKey{{Name: "node", Secret: serviceKey}},
		Verifier: accept, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	public, internal := httptest.NewServer(server.Public()), httptest.NewServer(server.Internal())
	command := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // as api sessions revoke --all
		if err := store.SignOutAll(r.Context()); err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(command.Close)
	t.Cleanup(public.Close)
	t.Cleanup(func() {
		internal.CloseClientConnections()
		internal.Close()
	})
	return []string{
		"ISSUER=" + issuer, "AUDIENCE=" + audience, "SERVICE_KEY=" + serviceKey, "INTERNAL=" + internal.URL,
		"KEYS=" + public.URL + "/.well-known/jwks.json", "REVOKED=" + strings.Join(revoked[:100], " "), "SIGN_OUT_ALL=" + command.URL,
	}
}
