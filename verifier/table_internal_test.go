package verifier

import (
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func (t *table) contents() map[uuid.UUID]uint32 {
	all := map[uuid.UUID]uint32{}
	for i := range t.shards {
		t.shards[i].each(func(id uuid.UUID, until uint32) { all[id] = until })
	}
	return all
}

func newID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// A table does what a map does, whatever is added and swept in whatever order.
func TestTableIsAMap(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(1, 2))
	var ids []uuid.UUID
	table, model, over := new(table), map[uuid.UUID]uint32{}, uint32(1)
	for range 50_000 {
		switch {
		case dice.IntN(500) == 0:
			over += dice.Uint32N(300)
			for i := range shardCount {
				table.sweep(i, over)
			}
			maps.DeleteFunc(model, func(_ uuid.UUID, until uint32) bool { return until < over })
		case len(ids) > 0 && dice.IntN(3) == 0: // one that was there
			id := ids[dice.IntN(len(ids))]
			until := over + dice.Uint32N(1000)
			table.add(id, until)
			model[id] = max(model[id], until)
		default:
			id := newID()
			if dice.IntN(2) == 0 {
				id = uuid.New()
			}
			id[15] %= 4 // full shards
			ids = append(ids, id)
			until := over + dice.Uint32N(1000)
			table.add(id, until)
			model[id] = until
		}
	}
	for i := range shardCount {
		table.sweep(i, over)
	}
	// Entries that are not worth a sweep may stay.
	got := table.contents()
	if len(got) > len(model)*9/8+shardCount {
		t.Errorf("%d sessions are kept for %d that have time left", len(got), len(model))
	}
	maps.DeleteFunc(got, func(_ uuid.UUID, until uint32) bool { return until < over })
	if diff := cmp.Diff(model, got); diff != "" {
		t.Errorf("(-model +table): %s", diff)
	}
	for id := range model {
		if !table.has(id) {
			t.Fatalf("%v is not found", id)
		}
	}
	for range 10_000 {
		if id := newID(); table.has(id) {
			t.Fatalf("%v is found", id)
		}
	}
}

// Readers never miss what was there before they looked, whatever is added and
// swept meanwhile. Run it with the race detector.
func TestTableIsReadWhileItIsWritten(t *testing.T) {
	t.Parallel()
	table := new(table)
	stays := make([]uuid.UUID, 1000)
	for i := range stays {
		stays[i] = newID()
		table.add(stays[i], 2)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if !table.has(stays[i%len(stays)]) {
					t.Error("one that stays is not found")
					return
				}
			}
		})
	}
	for range 20 {
		for range 2000 {
			table.add(newID(), 1)
		}
		for i := range shardCount {
			table.sweep(i, 2)
		}
	}
	close(stop)
	readers.Wait()
	if n := table.len(); n > 2*len(stays) {
		t.Errorf("%d are left", n)
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A quarter of a million revoked sessions take less than 16 MiB, and so a million
// less than 64, at the worst moment of growth too, and give it back. (Not parallel: it measures the process.)
func TestMemoryOfAQuarterMillion(t *testing.T) { //nolint:paralleltest // it measures the process
	before, table, worst := heap(), new(table), int64(0)
	for i := range 250_000 {
		table.add(newID(), 1)
		if i%25_000 == 24_999 || i > 175_000 && i%5_000 == 0 {
			worst = max(worst, heap()-before)
		}
	}
	t.Logf("a quarter of a million: %.1f MiB, at most %.1f on the way", float64(heap()-before)/(1<<20), float64(worst)/(1<<20))
	if worst > 16<<20 {
		t.Errorf("%d bytes", worst)
	}
	set := newSet(time.Second, &databaseClock{now: Now})
	set.known.Store(&knowledge{sessions: table, proof: Now()})
	token := &tokens.Claims{ExpiresAt: time.Now().Add(time.Hour)}
	if n := testing.AllocsPerRun(1000, func() { set.verdict(token) }); n != 0 {
		t.Errorf("reading allocates %v times", n)
	}
	for i := range shardCount {
		table.sweep(i, 2)
	}
	if left := heap() - before; left > 1<<20 {
		t.Errorf("%d bytes are left when all time is over", left)
	}
	runtime.KeepAlive(table)
}
