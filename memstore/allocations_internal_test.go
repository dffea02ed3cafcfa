//go:build !race

package memstore

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// A refresh stores its pair in place of the previous one: it leaves no garbage.
func TestExchangeAllocatesNothing(t *testing.T) { //nolint:paralleltest // others would allocate meanwhile
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := MustNew(sessionstore.Config{Tokens: tokens.Config{Now: func() time.Time { return now }}})
	const runs = 100
	presented := make([]sessionstore.Presented, 0, runs+1) // AllocsPerRun runs once more
	for range cap(presented) {
		_, pair, err := s.Create(t.Context(), sessionstore.CreateParams{Subject: uuid.NewString()})
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.core.Present(t.Context(), string(pair.RefreshToken), sessionstore.RefreshOptions{})
		if err != nil {
			t.Fatal(err)
		}
		presented = append(presented, p)
	}
	now = now.Add(time.Hour)
	if got := testing.AllocsPerRun(runs, func() {
		d, _, err := s.exchange(presented[0])
		if err != nil || d.Outcome != sessionstore.Rotated {
			t.Fatalf("%v, %v", d.Outcome, err)
		}
		presented = presented[1:]
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}
