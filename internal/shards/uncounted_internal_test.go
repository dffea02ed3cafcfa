package shards

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Once a shard is back, exactly those sessions of a subject are live that were if it had never been down, whatever was
// created and ended meanwhile.
func TestASettledLimitIsExact(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const down = 2
		most := rapid.IntRange(1, 4).Draw(t, "most")
		r := &Router{cfg: Config{SessionsPerSubject: most}}
		// had is what there would be if no shard had been down, have what there is; the oldest first.
		var had, have []sessionstore.Session
		var notes []uncounted
		isDown := false
		reachable := func(all []sessionstore.Session) (live []sessionstore.Session) {
			for _, s := range all {
				if !isDown || sessionid.Shard(s.ID) != down {
					live = append(live, s)
				}
			}
			return live
		}
		without := func(all []sessionstore.Session, id uuid.UUID) []sessionstore.Session {
			return slices.DeleteFunc(slices.Clone(all), func(s sessionstore.Session) bool { return s.ID == id })
		}
		settle := func() {
			isDown = false
			for i := range notes {
				notes[i].count(have, nil)
			}
			if len(notes) > 0 {
				ending, err := r.surplus(nil, have, notes) //nolint:staticcheck // SA1012: it asks nothing
				if err != nil {
					t.Fatal(err)
				}
				for id := range ending {
					have = without(have, id)
				}
			}
			notes = nil
			if !slices.EqualFunc(had, have, func(a, b sessionstore.Session) bool { return a.ID == b.ID }) {
				t.Fatalf("%d sessions are live, not the %d that there would be without an outage", len(have), len(had))
			}
		}
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"create", "create", "create", "end", "down", "up"}).Draw(t, "step") {
			case "create":
				number := rapid.IntRange(0, down).Draw(t, "shard")
				if isDown && number == down {
					number = 0
				}
				id, err := sessionid.New(number)
				if err != nil {
					t.Fatal(err)
				}
				created := sessionstore.Session{ID: id, CreatedAt: time.Unix(int64(i), 0)}
				live := reachable(have)
				surplus := max(0, len(live)+1-most)
				for _, old := range live[:surplus] {
					have = without(have, old.ID)
				}
				if isDown {
					notes = append(notes, uncountedOf("ada", created, live[surplus:], []int{down}))
				}
				have = append(have, created)
				had = append(had, created)
				had = had[max(0, len(had)-most):]
			case "end":
				if live := reachable(have); len(live) > 0 {
					id := rapid.SampledFrom(live).Draw(t, "session").ID
					have, had = without(have, id), without(had, id)
				}
			case "down":
				isDown = true
			case "up":
				settle()
			}
		}
		settle()
	})
}

// A note that is forgotten since another one surpasses it ends no session that the other does not.
func TestANoteThatIsSurpassed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		times := func(name string) []time.Time {
			n := rapid.SliceOfNDistinct(rapid.Int64Range(0, 12), 1, 5, rapid.ID[int64]).Draw(t, name)
			slices.Sort(n)
			var all []time.Time
			for _, sec := range slices.Backward(n) {
				all = append(all, time.Unix(sec, 0))
			}
			return all
		}
		older, newer := times("older"), times("newer")
		isSurpassed := len(newer) >= len(older) // as forgetSurpassedQuery has it
		for i := 0; isSurpassed && i < len(older); i++ {
			isSurpassed = !newer[i].Before(older[i])
		}
		if !isSurpassed {
			return
		}
		hidden := make(map[time.Time]bool)
		for _, at := range times("hidden") {
			hidden[at] = true
		}
		var live []sessionstore.Session
		for _, at := range slices.SortedFunc(maps.Keys(hidden), time.Time.Compare) {
			id, err := sessionid.New(1)
			if err != nil {
				t.Fatal(err)
			}
			live = append(live, sessionstore.Session{ID: id, CreatedAt: at})
		}
		note := func(counted []time.Time) uncounted {
			u := uncounted{createdAt: counted[0], counted: slices.Clone(counted), shards: []int{1}}
			u.count(live, nil)
			return u
		}
		a, b := note(older), note(newer)
		most := rapid.IntRange(1, 6).Draw(t, "most")
		for _, s := range live {
			if a.ends(s, most) && !b.ends(s, most) {
				t.Fatalf("%v ends %v, and %v does not", older, s.CreatedAt, newer)
			}
		}
	})
}
