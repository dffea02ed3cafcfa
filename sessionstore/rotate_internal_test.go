package sessionstore

import (
	"testing"

	"github.com/jackc/pgx/v5"
)

// Whoever waits for another's statement is told so even if that one panics, and
// the next statement may be sent.
func TestNobodyWaitsForAPanic(t *testing.T) {
	t.Parallel()
	s := &Store{} // without a pool: its statement panics
	s.rotations.statements = 1
	together := make([]*rotation, 3)
	for i := range together {
		together[i] = &rotation{ctx: t.Context(), turn: make(chan []*rotation, 1), err: pgx.ErrNoRows}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("it does not panic")
			}
		}()
		s.rotate(together)
	}()
	for _, r := range together[1:] {
		select {
		case _, open := <-r.turn:
			if open || !isNoRows(r.err) {
				t.Errorf("%v, %v", open, r.err)
			}
		default:
			t.Error("it waits")
		}
	}
	if n := s.rotations.statements; n != 0 {
		t.Errorf("%d statements are under way", n)
	}
}
