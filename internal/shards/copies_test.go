package shards_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Copies of different age make the list of shards together: a removal is never forgotten.
func TestCopiesOfTheList(t *testing.T) {
	t.Parallel()
	k := layouts[0].setup(t, config())
	list := func() []shards.Entry {
		t.Helper()
		entries, err := shards.Entries(t.Context(), k.pools[0])
		if err != nil {
			t.Fatal(err)
		}
		return entries
	}
	write := func(shard int, entries []shards.Entry) {
		t.Helper()
		if err := shards.CopyEntries(t.Context(), k.pools[shard], entries); err != nil {
			t.Fatal(err)
		}
	}
	copied := func() []shards.Entry {
		t.Helper()
		var copies [][]shards.Entry
		for _, pool := range k.pools[1:] {
			entries, err := shards.CopiedEntries(t.Context(), pool)
			if err != nil {
				t.Fatal(err)
			}
			copies = append(copies, entries)
		}
		return shards.Merge(copies...)
	}
	if got := copied(); len(got) != 0 {
		t.Errorf("without copies: %v", got)
	}
	before := list()
	write(1, before[:1])
	write(2, before)
	same := cmpopts.IgnoreUnexported(shards.Entry{})
	if diff := cmp.Diff(before, copied(), same); diff != "" {
		t.Error(diff)
	}
	if err := shards.Remove(t.Context(), k.pools[0], before[1], k.pools[2], k.stores[2]); err != nil {
		t.Fatal(err)
	}
	write(1, list())
	write(1, before) // by a replica that has read it earlier
	if diff := cmp.Diff(list(), copied(), same); diff != "" {
		t.Error(diff)
	}
	if got := shards.Removed(copied()); len(got) != 1 || got[0] != before[1].Number {
		t.Errorf("removed: %v", got)
	}
}

// The database that is there when the first shard is back is checked to be it.
func TestAnotherFirstShard(t *testing.T) {
	t.Parallel()
	k := layouts[0].setup(t, config())
	entries, err := shards.Entries(t.Context(), k.pools[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := shards.CheckFirst(t.Context(), k.pools[0], entries); err != nil {
		t.Error(err)
	}
	if err := shards.CheckFirst(t.Context(), k.pools[1], entries); !errors.Is(err, shards.ErrWrong) {
		t.Errorf("a further shard: %v", err)
	}
	if err := shards.CheckFirst(t.Context(), testdb.Pool(t), entries); !errors.Is(err, shards.ErrWrong) {
		t.Errorf("the database of nobody: %v", err)
	}
}

// A shard is admitted once, before its first request; one that is refused gets none, and its sessions
// are unavailable, whatever their tokens are signed with.
func TestAShardIsAdmitted(t *testing.T) {
	t.Parallel()
	k := layouts[0].setup(t, config())
	k.weigh(t, 0, 1, 0)
	_, pair := k.create(t, sessionstore.CreateParams{Subject: "ada"})
	var asked atomic.Int64
	refusal := errors.New("nobody would know its sessions")
	k.cfg.Shards[1].Admit = func(context.Context) error {
		asked.Add(1)
		return errors.Join(shards.ErrRefused, refusal)
	}
	router, err := shards.New(k.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := router.Check(t.Context()); !errors.Is(err, refusal) {
		t.Errorf("a refusal at the start: %v", err)
	}
	k.Router = router
	k.run(t)
	await(t, "a refusal later", func() bool { return asked.Load() == 2 })
	const forged = "e30.eyJzaWQiOiI"
	if _, _, err := k.Get(t.Context(), string(pair.AccessToken)); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Errorf("a session of a shard that was refused: %v", err)
	}
	tampered := string(pair.RefreshToken[:len(pair.RefreshToken)-4]) + "AAAA" // as if another key had signed it
	if _, err := k.RefreshTokens(t.Context(), tampered, sessionstore.Client{}); !errors.Is(err, sessionstore.ErrUnavailable) {
		t.Errorf("a token that no key knows, of a shard that was refused: %v", err)
	}
	if _, err := k.RefreshTokens(t.Context(), forged, sessionstore.Client{}); errors.Is(err, sessionstore.ErrUnavailable) {
		t.Errorf("no token at all: %v", err)
	}
}
