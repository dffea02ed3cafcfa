package testdb_test

import (
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// A server's clock is what the test sets it to, on connections that are open already too.
func TestClockThatIsSet(t *testing.T) {
	t.Parallel()
	server := testdb.NewSkewed(t)
	conn, err := server.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, ahead := range []time.Duration{0, 20 * time.Second, -time.Second, 24 * time.Hour, -24 * time.Hour, time.Hour} {
		server.SetClock(ahead)
		var now time.Time
		asked := time.Now()
		if err := conn.QueryRow(t.Context(), `SELECT now()`).Scan(&now); err != nil {
			t.Fatal(err)
		}
		if now.Before(asked.Add(ahead-10*time.Millisecond)) || now.After(time.Now().Add(ahead+10*time.Millisecond)) {
			t.Errorf("it is ahead by %v, not by %v", now.Sub(asked), ahead)
		}
	}
}
