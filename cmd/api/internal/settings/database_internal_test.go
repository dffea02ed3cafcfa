package settings

import "testing"

func TestPrivateDatabaseByOperatingSystem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		system string
		url    databaseURL
		want   string
	}{
		{"linux", "", ""},
		{"darwin", private, ""},
		{"windows", "postgres://db.example.com/latchkey", ""},
		{"windows", "", "the private PostgreSQL needs Linux or macOS: set LATCHKEY_DATABASE_URL to a PostgreSQL that has or will have the sessions"},
		{"windows", private, "the private PostgreSQL needs Linux or macOS: set LATCHKEY_DATABASE_URL to a PostgreSQL that has or will have the sessions"},
	} {
		got := ""
		if err := (Database{DatabaseURL: test.url}).meantOn(test.system); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s, LATCHKEY_DATABASE_URL=%q: %q, want %q", test.system, test.url, got, test.want)
		}
	}
}
