package shards_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A session is in the database of the shard that its id names, and in no other.
func TestASessionIsWhereItsIDSays(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			seen := map[int]bool{}
			for i := range 60 {
				session, pair := k.create(t, sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)})
				shard := sessionid.Shard(session.ID)
				seen[shard] = true
				for j, store := range k.stores {
					_, err := store.Load(t.Context(), session.ID)
					if isHere := j == shard; isHere != (err == nil) || !isHere && !errors.Is(err, sessionstore.ErrNotFound) {
						t.Errorf("session %s of shard %d in shard %d: %v", session.ID, shard, j, err)
					}
				}
				if got, _, err := k.Get(t.Context(), string(pair.AccessToken)); err != nil || got.ID != session.ID {
					t.Errorf("Get: %v, %v", got.ID, err)
				}
				if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil {
					t.Errorf("RefreshTokens: %v", err)
				}
			}
			if len(seen) != len(k.stores) {
				t.Errorf("60 subjects have sessions on the shards %v only", seen)
			}
		})
	}
}

// All sessions of a subject are on one shard, as long as the shards stay the same; those without
// a subject are on any.
func TestHomes(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			guests := map[int]int{}
			for i := range 30 {
				first, _ := k.create(t, sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)})
				second, _ := k.create(t, sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)})
				if sessionid.Shard(first.ID) != sessionid.Shard(second.ID) {
					t.Errorf("user-%d has sessions on two shards", i)
				}
				guest, _ := k.create(t, sessionstore.CreateParams{})
				guests[sessionid.Shard(guest.ID)]++
			}
			if len(guests) != len(k.stores) { // by chance once in 60,000 runs
				t.Errorf("30 guests are on the shards %v only", guests)
			}
		})
	}
}

// A creation with a key that is sent again gives the same session, also one without a subject.
func TestCreationsAreSentAgain(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			for i := range 10 {
				for _, subject := range []string{"", "ada"} {
					params := sessionstore.CreateParams{Subject: subject, IdempotencyKey: fmt.Sprintf("%s-%d", subject, i)}
					first, _ := k.create(t, params)
					if again, _ := k.create(t, params); again.ID != first.ID {
						t.Errorf("%q: %s, then %s", params.IdempotencyKey, first.ID, again.ID)
					}
				}
			}
		})
	}
}

// spread creates a subject's sessions on all shards in turn, the oldest first.
func (k *kit) spread(t *testing.T, subject string, each int) (ids []uuid.UUID) {
	t.Helper()
	for range each {
		for i := range k.stores {
			session, _, err := k.stores[i].Create(t.Context(), sessionstore.CreateParams{Subject: subject})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, session.ID)
		}
	}
	sortIDs(ids)
	return ids
}

func sortIDs(ids []uuid.UUID) {
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
}

// all reads a list page by page.
func all(t *testing.T, limit int, list func(sessionstore.ListParams) (sessionstore.Page, error)) (ids []uuid.UUID) {
	t.Helper()
	params := sessionstore.ListParams{Limit: limit}
	for {
		page, err := list(params)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Sessions) > limit {
			t.Fatalf("a page of %d, wanted %d at most", len(page.Sessions), limit)
		}
		for _, s := range page.Sessions {
			ids = append(ids, s.ID)
		}
		if page.NextCursor == params.Cursor && page.NextCursor != "" {
			t.Fatal("the list does not go on")
		}
		if params.Cursor = page.NextCursor; params.Cursor == "" {
			return ids
		}
	}
}

// Lists are those of one database: whole, in order, and page by page with a cursor.
func TestListsAreMerged(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			const each = 9
			ids := k.spread(t, "ada", each)
			others := k.spread(t, "grace", 2)
			// Pages pass over some 50 sessions that have expired, so that one shard's page ends early.
			for range 70 {
				session, _, err := k.stores[1].Create(t.Context(), sessionstore.CreateParams{Subject: "ada"})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := k.pools[1].Exec(t.Context(), `UPDATE "sessionStoreToken" SET "expiresAt" = now() - interval '1 hour' WHERE "session" = $1`, session.ID); err != nil {
					t.Fatal(err)
				}
			}
			later := k.spread(t, "ada", 1)
			want := slices.Concat(ids, later)
			sortIDs(want)
			slices.Reverse(want)
			for _, limit := range []int{1, 2, 5, 7, 200} {
				got := all(t, limit, func(p sessionstore.ListParams) (sessionstore.Page, error) { return k.List(t.Context(), "ada", p) })
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("pages of %d, -want +got:\n%s", limit, diff)
				}
			}
			everyone := slices.Concat(ids, others, later)
			sortIDs(everyone)
			slices.Reverse(everyone)
			got := all(t, 4, func(p sessionstore.ListParams) (sessionstore.Page, error) {
				return k.Find(t.Context(), sessionstore.FindParams{ListParams: p})
			})
			if diff := cmp.Diff(everyone, got); diff != "" {
				t.Errorf("everyone's, -want +got:\n%s", diff)
			}
			// Those that ended come in the order in which they did.
			var ended []uuid.UUID
			for _, i := range []int{5, 0, 13, 7, 20, 2} {
				if err := k.Invalidate(t.Context(), ids[i]); err != nil {
					t.Fatal(err)
				}
				ended = append(ended, ids[i])
			}
			slices.Reverse(ended)
			got = all(t, 2, func(p sessionstore.ListParams) (sessionstore.Page, error) {
				return k.Find(t.Context(), sessionstore.FindParams{Ended: true, ListParams: p})
			})
			if diff := cmp.Diff(ended, got); diff != "" {
				t.Errorf("ended, -want +got:\n%s", diff)
			}
			for _, cursor := range []string{"x", "AAAA"} {
				if _, err := k.List(t.Context(), "ada", sessionstore.ListParams{Cursor: cursor}); !errors.Is(err, sessionstore.ErrInvalidArgument) {
					t.Errorf("the cursor %q: %v", cursor, err)
				}
			}
		})
	}
}

// A sign-out everywhere ends sessions on all shards but the one that is kept.
func TestSignOutEverywhere(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			ids := k.spread(t, "ada", 2)
			other := k.spread(t, "grace", 1)
			n, err := k.InvalidateSubject(t.Context(), "ada", ids[3])
			if err != nil || n != int64(len(ids)-1) {
				t.Fatalf("%d, %v", n, err)
			}
			for i, id := range slices.Concat(ids, other) {
				h, err := k.History(t.Context(), id)
				if isKept := i == 3 || i >= len(ids); err != nil || isKept != h.Session.Ended.At.IsZero() {
					t.Errorf("session %d: %+v, %v", i, h.Session.Ended, err)
				}
			}
			if _, err := k.InvalidateSubject(t.Context(), "", uuid.Nil); !errors.Is(err, sessionstore.ErrInvalidArgument) {
				t.Errorf("nobody: %v", err)
			}
		})
	}
}

// A session of a shard that is not configured is unavailable, as another replica may have it; one of
// a shard that was removed is gone; and an unsigned token is refused either way.
func TestUnknownShards(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			k.weigh(t, 0, 0, 1)
			session, pair := k.create(t, sessionstore.CreateParams{Subject: "ada"})
			k.cfg.Shards = k.cfg.Shards[:2]
			k.weigh(t, 1, 1)
			forged := string(pair.RefreshToken[:len(pair.RefreshToken)-8]) + "AAAAAAAA"
			check := func(what string, want error) {
				t.Helper()
				_, loaded := k.Load(t.Context(), session.ID)
				_, _, got := k.Get(t.Context(), string(pair.AccessToken))
				_, refreshed := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{})
				for name, err := range map[string]error{"Load": loaded, "Get": got, "RefreshTokens": refreshed} {
					if !errors.Is(err, want) {
						t.Errorf("%s of a session of a shard that is %s: %v, want %v", name, what, err, want)
					}
				}
				if _, err := k.RefreshTokens(t.Context(), forged, sessionstore.Client{}); errors.Is(err, sessionstore.ErrUnavailable) || err == nil {
					t.Errorf("a forged token of a shard that is %s: %v", what, err)
				}
				for _, token := range []string{forged, string(pair.AccessToken[:len(pair.AccessToken)-8]) + "AAAAAAAA"} {
					if _, _, err := k.Replace(t.Context(), sessionstore.Replaced{Token: token}, sessionstore.CreateParams{Subject: "ada"}); !errors.Is(err, sessionstore.ErrInvalidArgument) {
						t.Errorf("a session is to replace that of a forged token of a shard that is %s: %v", what, err)
					}
				}
				if err := k.RevokeToken(t.Context(), forged); err != nil {
					t.Errorf("RevokeToken of a forged token: %v", err)
				}
			}
			check("unknown", sessionstore.ErrUnavailable)
			if err := k.RevokeToken(t.Context(), string(pair.RefreshToken)); !errors.Is(err, sessionstore.ErrUnavailable) {
				t.Errorf("RevokeToken: %v", err)
			}
			k.cfg.Removed = []int{2}
			k.restart(t)
			check("removed", sessionstore.ErrNotFound)
			if err := k.RevokeToken(t.Context(), string(pair.RefreshToken)); err != nil {
				t.Errorf("RevokeToken: %v", err)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, three := range layouts {
		t.Run(three.name, func(t *testing.T) {
			t.Parallel()
			k := three.setup(t, config())
			check := func(context.Context) error { return nil }
			usable := func(number int, weight float64) shards.Shard {
				return shards.Shard{Number: number, Weight: weight, Store: k.stores[0], Pool: k.pools[0], Check: check}
			}
			for name, all := range map[string][]shards.Shard{
				"none":               nil,
				"no first":           {usable(1, 1)},
				"one number twice":   {usable(0, 1), usable(0, 1)},
				"no number":          {usable(0, 1), usable(sessionid.MaxShard+1, 1)},
				"a negative weight":  {usable(0, 1), usable(1, -1)},
				"no weight":          {usable(0, 0), usable(1, 0)},
				"no store":           {{Pool: k.pools[0], Check: check, Weight: 1}},
				"no pool, no check.": {{Store: k.stores[0], Weight: 1}},
			} {
				if _, err := shards.New(shards.Config{Shards: all}); err == nil {
					t.Errorf("%s: it was taken", name)
				}
			}
		})
	}
}
