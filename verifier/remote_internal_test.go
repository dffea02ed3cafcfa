package verifier

import (
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// The events of the feed's server are applied or refused; whatever it is, no set is
// ever sure of more than the time at which it was asked.
func FuzzFeedEvent(f *testing.F) {
	for _, seed := range []string{
		`{"cursor":"a.1.0.c","reset":true,"sessions":[{"id":"01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91","until":1795219525}],"complete_ms":-3,"from":1795219201}`,
		`{"cursor":"a","more":true,"sessions":[],"from":0}`, `{"cursor":"a","complete_ms":9223372036854775807}`, `{"cursor":"a","complete_ms":-9223372036854775808,"reset":true}`,
		`{"cursor":"","complete_ms":1}`, `{"cursor":"a","superseded":[{"pair":"01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91","below":2,"until":1795219525}],"complete_ms":0,"reset":true}`, `{}`, `null`, `[`, ``, `{"cursor":"a","complete_ms":1,"sessions":[{"until":-1}],"reset":true,"from":-9}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		now := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
		set := newSet(time.Second, &databaseClock{now: func() Moment { return now }, logger: slog.New(slog.DiscardHandler)})
		cursor := "before"
		complete, _, err := take(data, set, now, &cursor)
		if err != nil && (complete || cursor != "before") {
			t.Errorf("%v, but complete %v at %q", err, complete, cursor)
		}
		if age := set.Age(); age < 0 {
			t.Errorf("the set knows what will be revoked in the next %v", -age)
		}
	})
}

// An event is complete or has more to follow, and never both.
func TestFeedEventsThatAreTaken(t *testing.T) {
	t.Parallel()
	now := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
	for text, want := range map[string]struct{ taken, complete bool }{
		`{"cursor":"a","reset":true,"complete_ms":0}`:                         {true, true},
		`{"cursor":"a","reset":true,"more":true}`:                             {true, false},
		`{"cursor":"a","reset":true,"more":true,"complete_ms":0}`:             {},
		`{"cursor":"a","reset":true}`:                                         {},
		`{"reset":true,"complete_ms":0}`:                                      {},
		`{"cursor":1,"reset":true,"complete_ms":0}`:                           {},
		`{"cursor":"a","reset":true,"complete_ms":0,"sessions":[{"id":"x"}]}`: {},
		`{"cursor":"a","complete_ms":0,"reset":true,"superseded":[{"pair":"01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91","below":2,"until":1795219525}]}`: {true, true},
	} {
		set, cursor := newSet(time.Second, &databaseClock{now: func() Moment { return now }, logger: slog.New(slog.DiscardHandler)}), "before"
		complete, _, err := take([]byte(text), set, now, &cursor)
		if (err == nil) != want.taken || complete != want.complete || (cursor == "a") != want.taken || (set.Age() == 0) != want.complete {
			t.Errorf("%s: %v, %v, at %q, %v old", text, complete, err, cursor, set.Age())
		}
	}
}

// All that an event says counts.
func TestFeedEventIsApplied(t *testing.T) {
	t.Parallel()
	const session, pair = "01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91", "01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a92"
	const from, until, told = 1795219201, 1795219525, 1795219290
	now := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
	set, cursor := newSet(time.Second, &databaseClock{now: func() Moment { return now }, logger: slog.New(slog.DiscardHandler)}), ""
	text := fmt.Sprintf(`{"cursor":"a","reset":true,"sessions":[{"id":%q,"until":%d}],"superseded":[{"pair":%q,"below":2,"until":%d}],"eras":[{"below":3,"before":%d,"until":%d}],"complete_ms":0,"from":%d,"now":%d,"shards":[1,2]}`,
		session, until, pair, until, from, until, from, told*1000)
	if _, shards, err := take([]byte(text), set, now, &cursor); err != nil || !slices.Equal(shards, []int{1, 2}) {
		t.Fatal(shards, err)
	}
	k := set.known.Load()
	if k.cursor != "a" || k.sessions.from.Load() != from {
		t.Errorf("cursor %q, from %d", k.cursor, k.sessions.from.Load())
	}
	if got := k.sessions.contents(); !maps.Equal(got, map[uuid.UUID]uint32{uuid.MustParse(session): until}) {
		t.Errorf("sessions: %v", got)
	}
	id := uuid.MustParse(pair)
	if got := k.sessions.superseded.shards[id[15]].pairs; !maps.Equal(got, map[uuid.UUID]supersession{id: {2, until}}) {
		t.Errorf("pairs: %v", got)
	}
	if got := k.sessions.eras.last.Load(); got == nil || *got != (signOut{3, from, until}) {
		t.Errorf("sign-out of everyone: %+v", got)
	}
	if got := set.clock.time(); got.Unix() != told {
		t.Errorf("the time is %v", got)
	}
	// An answer that is not a reset adds to the set.
	other := strings.Replace(session, "91", "93", 1)
	if _, _, err := take(fmt.Appendf(nil, `{"cursor":"b","sessions":[{"id":%q,"until":%d}],"complete_ms":0}`, other, until), set, now, &cursor); err != nil || set.Len() != 2 || cursor != "b" || set.history.whole != 1 {
		t.Errorf("%d sessions, %q, whole at version %d, %v", set.Len(), cursor, set.history.whole, err)
	}
}

// A proof counts from when the service says, within what can be.
func TestSinceSent(t *testing.T) {
	t.Parallel()
	const elapsed = 7 * time.Millisecond
	for millis, want := range map[int64]time.Duration{
		-3: -3 * time.Millisecond, 0: 0, 7: elapsed, 8: elapsed, math.MaxInt64: elapsed,
		-86_400_000: -24 * time.Hour, -86_400_001: -24 * time.Hour, math.MinInt64: -24 * time.Hour,
	} {
		if got := sinceSent(millis, elapsed); got != want {
			t.Errorf("%d ms: %v, want %v", millis, got, want)
		}
	}
}
