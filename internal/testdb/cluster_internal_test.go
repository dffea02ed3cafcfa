package testdb

import "testing"

func TestWithDatabase(t *testing.T) {
	t.Parallel()

	for connection, want := range map[string]string{
		"postgres://u:p@db:5433/postgres?sslmode=disable": "postgres://u:p@db:5433/mine?sslmode=disable",
		"postgresql:///?host=/run/postgresql":             "postgresql:///mine?host=/run/postgresql",
		"postgres://db":                                   "postgres://db/mine",
		"host=db dbname=postgres user=u":                  "host=db dbname=postgres user=u dbname=mine",
	} {
		if got := withDatabase(connection, "mine"); got != want {
			t.Errorf("%s: got %s, want %s", connection, got, want)
		}
	}
}
