package testdb

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
)

// schemas are those of a database with three installations, as a search_path has them. One has to be quoted.
var schemas = []string{`public`, `east`, `"West-2"`}

// SchemaURLs returns the libpq URLs of three installations in one database that only the test uses, each in its own
// schema.
func SchemaURLs(tb testing.TB) []string {
	tb.Helper()

	c, name := databaseOf(tb, (*cluster).createSchemas)
	base := c.url(name)
	urls := make([]string, len(schemas))
	for i, schema := range schemas {
		urls[i] = withSearchPath(base, schema)
	}

	return urls
}

// Schemas returns connections to the installations of [SchemaURLs].
func Schemas(tb testing.TB) []*pgxpool.Pool {
	tb.Helper()

	var pools []*pgxpool.Pool
	for _, url := range SchemaURLs(tb) {
		pools = append(pools, open(tb, url))
	}

	return pools
}

// createSchemas makes a database with three installations and returns its name. To migrate them takes longer than most
// tests, so they are copied as well.
func (c *cluster) createSchemas(ctx context.Context) (string, error) {
	c.schemas.mu.Lock()
	defer c.schemas.mu.Unlock()

	if c.schemas.template == "" {
		name := c.prefix + "_schemas"
		if err := c.copy(ctx, c.template, name); err != nil {
			return "", err
		}
		for _, schema := range schemas[1:] {
			if err := execute(ctx, c.url(name), `CREATE SCHEMA `+schema); err != nil {
				return "", err
			}
			if err := migrate(ctx, withSearchPath(c.url(name), schema)); err != nil {
				return "", err
			}
		}
		c.schemas.template = name
	}

	return c.createFrom(ctx, c.schemas.template)
}
