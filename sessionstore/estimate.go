package sessionstore

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// The planner's estimate is based on what ANALYZE last saw and on the table's
// present size. Nothing is executed.
const estimateQuery = `
EXPLAIN (FORMAT JSON) SELECT 1 FROM "sessionStoreToken"
WHERE "refreshToken" IS NULL AND "revokedAt" IS NULL AND "expiresAt" > now()`

// A comparison with a column is something that PostgreSQL has statistics of.
const estimateOfEraQuery = estimateQuery + ` AND "era" >= `

const estimateKeptQuery = `EXPLAIN (FORMAT JSON) SELECT 1 FROM "sessionStore"`

// EstimateLive estimates how many sessions are live, at the cost of planning one
// query, however many there are. It is as accurate as PostgreSQL's statistics,
// which autovacuum updates when about a tenth of the table has changed; for a
// table that was never analyzed it has no estimate.
func (s *Store) EstimateLive(ctx context.Context) (int64, error) {
	var current int64
	if err := s.pool.QueryRow(ctx, currentEraQuery).Scan(&current); err != nil {
		return 0, sessionerr.Unavailable("estimate the number of sessions", err)
	}
	if current == 0 {
		return s.estimate(ctx, estimateQuery)
	}
	return s.estimate(ctx, estimateOfEraQuery+strconv.FormatInt(current, 10))
}

// EstimateKept estimates how many sessions are stored, live ones and those that have
// ended, as [Store.EstimateLive] does.
func (s *Store) EstimateKept(ctx context.Context) (int64, error) {
	return s.estimate(ctx, estimateKeptQuery)
}

func (s *Store) estimate(ctx context.Context, query string) (int64, error) {
	var text []byte
	if err := s.pool.QueryRow(ctx, query).Scan(&text); err != nil {
		return 0, sessionerr.Unavailable("estimate the number of sessions", err)
	}
	var plans []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		} `json:"Plan"`
	}
	if err := json.Unmarshal(text, &plans); err != nil {
		return 0, sessionerr.Unavailable("estimate the number of sessions", err)
	}
	if len(plans) != 1 {
		return 0, sessionerr.Unavailable("estimate the number of sessions", errors.New("not a plan"))
	}
	return int64(plans[0].Plan.Rows), nil
}
