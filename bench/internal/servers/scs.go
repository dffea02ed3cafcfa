package servers

import (
	"context"
	"crypto/rand"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alexedwards/scs/pgxstore"
	"github.com/alexedwards/scs/v2"
	"github.com/go-chi/chi/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Session is the path of [SCS]: GET reads a session and answers with its data, and POST writes it as well.
const Session = "/session"

// SCS is a server with the middleware LoadAndSave of alexedwards/scs, on its pgxstore.
type SCS struct {
	// DatabaseURL is that of an empty database.
	DatabaseURL           string
	Connections, Sessions int
	// Data is each session's data, a JSON object.
	Data string
}

// dataKey is the one value that a session has.
const dataKey = "data"

// schema is the table that pgxstore asks for.
const schema = `
CREATE TABLE sessions (
    token text PRIMARY KEY,
    data bytea NOT NULL,
    expiry timestamptz NOT NULL
);
CREATE INDEX sessions_expiry_idx ON sessions (expiry)`

func (s *SCS) add(ctx context.Context, r chi.Router, about *About) error {
	if s == nil {
		return nil
	}
	config, err := pgxpool.ParseConfig(s.DatabaseURL)
	if err != nil {
		return err
	}
	config.MaxConns = int32(s.Connections) //nolint:gosec // a number of workers
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	manager := scs.New() // as it comes, with its clean-up every five minutes
	manager.Store = pgxstore.New(pool)
	info, _ := debug.ReadBuildInfo() // a program that is built with modules has it
	for _, module := range info.Deps {
		if name, ok := strings.CutPrefix(module.Path, "github.com/alexedwards/"); ok {
			about.Versions = strings.TrimPrefix(about.Versions+", "+name+" "+module.Version, ", ")
		}
	}

	read := func(w http.ResponseWriter, r *http.Request) {
		value := manager.GetBytes(r.Context(), dataKey)
		if value == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(w, string(value))
	}
	r = r.With(manager.LoadAndSave)
	r.Get(Session, read)
	r.Post(Session, func(w http.ResponseWriter, r *http.Request) {
		if manager.Exists(r.Context(), dataKey) {
			manager.Put(r.Context(), dataKey, []byte(s.Data))
		}
		read(w, r)
	})
	about.Cookies, err = s.makeSessions(ctx, pool, manager)

	return err
}

// makeSessions makes sessions as the manager would, but all at once, and returns their cookies.
func (s *SCS) makeSessions(ctx context.Context, pool *pgxpool.Pool, manager *scs.SessionManager) ([]string, error) {
	if _, err := pool.Exec(ctx, schema); err != nil {
		return nil, err
	}
	expiry := time.Now().Add(manager.Lifetime).UTC()
	encoded, err := manager.Codec.Encode(expiry, map[string]any{dataKey: []byte(s.Data)})
	if err != nil {
		return nil, err
	}
	cookies := make([]string, s.Sessions)
	rows := pgx.CopyFromSlice(s.Sessions, func(i int) ([]any, error) {
		token := (rand.Text() + rand.Text())[:43] // as long as 32 bytes in base64
		cookies[i] = manager.Cookie.Name + "=" + token
		return []any{token, encoded, expiry}, nil
	})
	if _, err := pool.CopyFrom(ctx, pgx.Identifier{"sessions"}, []string{"token", "data", "expiry"}, rows); err != nil {
		return nil, err
	}
	_, err = pool.Exec(ctx, `VACUUM (ANALYZE) sessions`)

	return cookies, err
}
