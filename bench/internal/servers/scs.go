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

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
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
const schema = `CREATE TABLE sessions (token text PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL);
CREATE INDEX sessions_expiry_idx ON sessions (expiry)`

func (s SCS) handler(ctx context.Context, about *About) http.Handler {
	config := must.Get(pgxpool.ParseConfig(s.DatabaseURL))
	config.MaxConns = int32(s.Connections) //nolint:gosec // a number of workers
	pool := must.Get(pgxpool.NewWithConfig(ctx, config))
	manager := scs.New() // as it comes, with its cleanup every five minutes
	manager.Store = pgxstore.New(pool)
	info, _ := debug.ReadBuildInfo() // a program that is built with modules has it
	for _, module := range info.Deps {
		if name, ok := strings.CutPrefix(module.Path, "github.com/alexedwards/"); ok {
			about.Versions = strings.TrimPrefix(about.Versions+", "+name+" "+module.Version, ", ")
		}
	}

	about.Cookies = s.makeSessions(ctx, pool, manager)

	read := func(w http.ResponseWriter, r *http.Request) {
		value := manager.GetBytes(r.Context(), dataKey)
		if value == nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(w, string(value))
	}
	router := chi.NewRouter()
	router.Use(manager.LoadAndSave)
	router.Get(Session, read)
	router.Post(Session, func(w http.ResponseWriter, r *http.Request) {
		if manager.Exists(r.Context(), dataKey) {
			manager.Put(r.Context(), dataKey, []byte(s.Data))
		}
		read(w, r)
	})
	return router
}

// makeSessions makes sessions as the manager would, but all at once, and returns their cookies.
func (s SCS) makeSessions(ctx context.Context, pool *pgxpool.Pool, manager *scs.SessionManager) []string {
	must.Get(pool.Exec(ctx, schema))
	expiry := time.Now().Add(manager.Lifetime).UTC()
	encoded := must.Get(manager.Codec.Encode(expiry, map[string]any{dataKey: []byte(s.Data)}))
	cookies := make([]string, s.Sessions)
	rows := pgx.CopyFromSlice(s.Sessions, func(i int) ([]any, error) {
		token := (rand.Text() + rand.Text())[:43] // as long as 32 bytes in base64
		cookies[i] = manager.Cookie.Name + "=" + token
		return []any{token, encoded, expiry}, nil
	})
	must.Get(pool.CopyFrom(ctx, pgx.Identifier{"sessions"}, []string{"token", "data", "expiry"}, rows))
	must.Get(pool.Exec(ctx, `VACUUM (ANALYZE) sessions`))
	return cookies
}
