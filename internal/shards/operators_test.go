package shards_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// The queries of the operators' page are answered for all shards.
func TestWhatOperatorsAsk(t *testing.T) {
	t.Parallel()
	k := layouts[0].setup(t, config())
	var subjects []string
	var stolen []uuid.UUID
	for i := range 12 {
		subject := fmt.Sprintf("user-%02d", i)
		subjects = append(subjects, subject)
		for _, weights := range [][]float64{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}} {
			k.weigh(t, weights...)
			session, pair := k.create(t, sessionstore.CreateParams{Subject: subject})
			if i >= 3 {
				continue
			}
			k.steal(t, session.ID, pair)
			stolen = append([]uuid.UUID{session.ID}, stolen...)
		}
	}
	ended := k.spread(t, "someone else", 1)
	if err := k.Invalidate(t.Context(), ended[0]); err != nil {
		t.Fatal(err)
	}

	if got, err := k.Subjects(t.Context(), "user-"); err != nil || !slices.Equal(got, subjects[:10]) {
		t.Errorf("subjects: %v, %v", got, err)
	}
	var thefts []uuid.UUID
	for params := (sessionstore.ListParams{Limit: 2}); ; {
		page, err := k.Thefts(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		for _, report := range page.Thefts {
			thefts = append(thefts, report.SessionID)
		}
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			break
		}
	}
	if !slices.Equal(thefts, stolen) {
		t.Errorf("thefts: %v, want %v", thefts, stolen)
	}
	const created, live = 12*3 + 3, 9*3 + 2
	if n, isExact, err := k.CountLive(t.Context()); err != nil || !isExact || n != live {
		t.Errorf("live: %d, %v, %v; want %d", n, isExact, err, live)
	}
	a, known, err := k.Activity(t.Context(), time.Now().Add(time.Minute))
	total := func(n [sessionstore.Hours]int64) (all int64) {
		for _, m := range n {
			all += m
		}
		return all
	}
	if err != nil || !known || total(a.Created) != created || total(*a.Ended[sessionstore.ReasonTheft]) != int64(len(stolen)) || total(*a.Ended[sessionstore.ReasonBackend]) != 1 || a.From.IsZero() {
		t.Errorf("activity: %+v, %v, %v", a, known, err)
	}
	for _, pool := range k.pools {
		if _, err := pool.Exec(t.Context(), `ANALYZE "sessionStore"`); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := k.EstimateKept(t.Context()); err != nil || n != created {
		t.Errorf("kept: %d, %v; want %d", n, err, created)
	}
}

// steal has a replaced refresh token come back too late.
func (k *kit) steal(t *testing.T, session uuid.UUID, pair sessionstore.TokenPair) {
	t.Helper()
	old := pair
	for range 2 {
		for _, pool := range k.pools {
			if _, err := pool.Exec(t.Context(), `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 h' WHERE "session" = $1`, session); err != nil {
				t.Fatal(err)
			}
		}
		got, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
		if err != nil {
			t.Fatal(err)
		}
		pair = got.Pair
	}
	if _, err := k.RefreshTokens(t.Context(), string(old.RefreshToken), sessionstore.Client{}); !errors.Is(err, sessionstore.ErrReuse) {
		t.Fatalf("a stolen token: %v", err)
	}
}
