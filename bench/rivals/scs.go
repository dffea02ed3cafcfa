package rivals

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/child"
	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
)

const (
	// SCSName is the name of alexedwards/scs with its pgxstore in results.
	SCSName = "alexedwards/scs"
	// SCSArgument makes this program a server with scs, as its only argument.
	SCSArgument = "scs-server"
	// SCSPath is where the server has its sessions: GET reads one and answers with its data, and POST writes it as well.
	SCSPath = "/session"

	// dataKey is the one value that a session has.
	dataKey = "data"
)

// schema is the table that pgxstore asks for.
const schema = `
CREATE TABLE sessions (
    token text PRIMARY KEY,
    data bytea NOT NULL,
    expiry timestamptz NOT NULL
);
CREATE INDEX sessions_expiry_idx ON sessions (expiry)`

// SCSServer is a server with scs' middleware LoadAndSave in a process of its own.
type SCSServer struct {
	*child.Process

	Address string `json:"address"`
	// Cookies are one for each session, as in the header Cookie.
	Cookies []string `json:"cookies"`
	// Versions name what is measured.
	Versions string `json:"versions"`
}

// StartSCS starts a server, and makes sessions for it.
func StartSCS(ctx context.Context, cfg Config) (*SCSServer, error) {
	s := new(SCSServer)
	var err error
	s.Process, err = child.Start(ctx, SCSArgument, cfg, s)

	return s, err
}

// ServeSCS is the process of an [SCSServer].
func ServeSCS() error {
	return child.Serve(func(cfg Config) (s SCSServer, err error) {
		ctx := context.Background()
		config, err := pgxpool.ParseConfig(cfg.DatabaseURL)
		if err != nil {
			return s, err
		}
		config.MaxConns = int32(cfg.Connections) //nolint:gosec // a number of workers
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			return s, err
		}
		manager := scs.New() // as it comes, with its clean-up every five minutes
		manager.Store = pgxstore.New(pool)
		if s.Cookies, err = makeSessions(ctx, pool, manager, cfg); err != nil {
			return s, err
		}
		s.Versions = versions()
		s.Address, err = child.Listen(routes(manager, []byte(cfg.Data)))
		return s, err
	})
}

// versions names what this program was built from.
func versions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of unknown version"
	}
	var names []string
	for _, module := range info.Deps {
		if name, ok := strings.CutPrefix(module.Path, "github.com/alexedwards/"); ok {
			names = append(names, name+" "+module.Version)
		}
	}

	return strings.Join(names, ", ")
}

// routes puts scs' middleware in front of two handlers, one of which makes it write the session too.
func routes(manager *scs.SessionManager, data []byte) http.Handler {
	answer := func(w http.ResponseWriter, r *http.Request) {
		value := manager.GetBytes(r.Context(), dataKey)
		if value == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(value) // the client went away
	}

	mux := http.NewServeMux()
	mux.Handle("GET "+SCSPath, manager.LoadAndSave(http.HandlerFunc(answer)))
	mux.Handle("POST "+SCSPath, manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if manager.Exists(r.Context(), dataKey) {
			manager.Put(r.Context(), dataKey, data)
		}
		answer(w, r)
	})))

	return mux
}

// makeSessions makes sessions as the manager would, but all at once, and returns their cookies.
func makeSessions(ctx context.Context, pool *pgxpool.Pool, manager *scs.SessionManager, cfg Config) ([]string, error) {
	if _, err := pool.Exec(ctx, schema); err != nil {
		return nil, err
	}
	expiry := time.Now().Add(manager.Lifetime).UTC()
	encoded, err := manager.Codec.Encode(expiry, map[string]any{dataKey: []byte(cfg.Data)})
	if err != nil {
		return nil, err
	}
	cookies := make([]string, cfg.Sessions)
	rows := pgx.CopyFromSlice(cfg.Sessions, func(i int) ([]any, error) {
		var random [32]byte
		_, _ = rand.Read(random[:]) // never fails
		token := base64.RawURLEncoding.EncodeToString(random[:])
		cookies[i] = manager.Cookie.Name + "=" + token
		return []any{token, encoded, expiry}, nil
	})
	if _, err := pool.CopyFrom(ctx, pgx.Identifier{"sessions"}, []string{"token", "data", "expiry"}, rows); err != nil {
		return nil, err
	}
	_, err = pool.Exec(ctx, `VACUUM (ANALYZE) sessions`)

	return cookies, err
}

// Read returns a request that reads one of the sessions.
func (s *SCSServer) Read() load.Request {
	cookie := s.Cookies[mathrand.IntN(len(s.Cookies))] //nolint:gosec // which session is read is no secret

	return load.Request{Method: http.MethodGet, Path: SCSPath, Cookie: cookie}
}

// SCS measures requests to a server with scs: one that reads the session, and one that writes it too.
func SCS(ctx context.Context, cfg Config) ([]Result, error) {
	results, err := scsResults(ctx, cfg)
	if err != nil {
		return results, fmt.Errorf("%s: %w", SCSName, err)
	}

	return results, nil
}

func scsResults(ctx context.Context, cfg Config) (results []Result, err error) {
	if err := cfg.check(ctx); err != nil {
		return nil, err
	}
	server, err := StartSCS(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	for _, operation := range []struct{ name, method string }{
		{"read over HTTP", http.MethodGet},
		{"read and write over HTTP", http.MethodPost},
	} {
		result, err := server.measure(ctx, cfg, operation.method)
		if err != nil {
			return results, fmt.Errorf("%s: %w", operation.name, err)
		}
		result.Name, result.Operation = SCSName, operation.name
		result.log(cfg.Log)
		results = append(results, result)
	}

	return results, nil
}

// measure sends requests to the server over as many connections as cfg says: on each the next one when the last one
// has been answered. Every answer has to be the session's data.
func (s *SCSServer) measure(ctx context.Context, cfg Config, method string) (Result, error) {
	client := load.NewClient(s.Address)
	defer client.Close()
	var used time.Duration
	var usedErr error
	count := func(sign time.Duration) func() {
		return func() {
			cpu, err := machine.CPU(s.Pid())
			used += sign * cpu
			usedErr = errors.Join(usedErr, err)
		}
	}
	window := load.Window{Workers: cfg.Connections, Warmup: cfg.Duration / 4, Duration: cfg.Duration, Begin: count(-1), End: count(1)}
	measured, err := load.Closed(ctx, window, func(int) error {
		request := s.Read()
		request.Method = method
		body, err := client.Send(http.StatusOK, request)
		if err == nil && string(body) != cfg.Data {
			err = fmt.Errorf("it answered %q", body)
		}
		return err
	})
	if err := errors.Join(err, usedErr); err != nil {
		return Result{}, err
	}

	return Result{
		PerSecond: measured.PerSecond(), P50ms: measured.Latencies.Milliseconds(50), P99ms: measured.Latencies.Milliseconds(99),
		Note: fmt.Sprintf("%s, CPU of the server %.0f µs a request", s.Versions, float64(used.Microseconds())/float64(measured.Latencies.Count())),
	}, nil
}
