package verifier_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// remembers is a source that can also return what was revoked after a cursor.
type remembers struct {
	byHand
	since func(cursor string) ([]verifier.Revocation, bool, error)
}

func (r remembers) Since(_ context.Context, cursor string) ([]verifier.Revocation, bool, error) {
	return r.since(cursor)
}

// reader keeps the events of a feed.
type reader struct {
	feed   *verifier.Feed
	cursor string
	known  map[uuid.UUID]int64
	proof  verifier.Moment
	resets int
}

func (r *reader) next(t *testing.T) verifier.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e, err := r.feed.Next(ctx, r.cursor)
	if err != nil {
		t.Fatal(err)
	}
	if e.Reset {
		r.known, r.resets = map[uuid.UUID]int64{}, r.resets+1
	}
	if e.More != e.Proof.IsZero() || e.Cursor == "" {
		t.Fatalf("an odd event: %+v", e)
	}
	for _, s := range e.Sessions {
		r.known[s.SessionID] = s.Until
	}
	r.cursor, r.proof = e.Cursor, e.Proof
	return e
}

func (b *bench) revocations(n int) []verifier.Revocation {
	list := make([]verifier.Revocation, n)
	for i := range list {
		list[i] = b.revocation(uuid.Must(uuid.NewV7()), time.Hour)
	}
	return list
}

func (r *reader) wantKnown(t *testing.T, lists ...[]verifier.Revocation) {
	t.Helper()
	want := map[uuid.UUID]int64{}
	for _, list := range lists {
		for _, s := range list {
			want[s.SessionID] = s.Until
		}
	}
	if !maps.Equal(want, r.known) {
		t.Errorf("%d sessions are known, want %d", len(r.known), len(want))
	}
}

func TestFeed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := &reader{feed: b.Feed()}
	if _, err := r.feed.Next(t.Context(), ""); !errors.Is(err, verifier.ErrUnavailable) {
		t.Errorf("before the set is loaded: %v", err)
	}
	first, second, third := b.revocations(3), b.revocations(2), b.revocations(1)
	b.load(first...)
	if e := r.next(t); !e.Reset || e.More || len(e.Sessions) != 3 {
		t.Errorf("%+v", e)
	}
	r.wantKnown(t, first)
	start := r.cursor
	b.prove(second...)
	b.clocks.pass(time.Millisecond)
	b.prove()
	b.prove(third...)
	if e := r.next(t); e.Reset || len(e.Sessions) != 3 || e.Proof != b.set.Now() {
		t.Errorf("%+v", e)
	}
	r.wantKnown(t, first, second, third)

	// Reported sessions are not reported again.
	fourth := b.revocations(1)
	b.prove(fourth...)
	if e := r.next(t); len(e.Sessions) != 1 {
		t.Errorf("%+v", e)
	}
	third = append(third, fourth...)

	// An older cursor is as good.
	again := &reader{feed: b.Feed(), cursor: start, known: map[uuid.UUID]int64{}}
	again.next(t)
	again.wantKnown(t, second, third)

	// Another set takes the place of this one, and has its sessions too.
	b.load(second...)
	for _, reader := range []*reader{r, again} {
		if e := reader.next(t); !e.Reset {
			t.Errorf("%+v", e)
		}
		reader.wantKnown(t, first, second, third)
	}
}

// A reader waits for the next proof, and gets it even if nothing was revoked.
func TestFeedWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load()
	r := &reader{feed: b.Feed()}
	r.next(t)
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if e, err := r.feed.Next(short, r.cursor); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not wait: %+v, %v", e, err)
	}
	go func() {
		time.Sleep(20 * time.Millisecond)
		b.clocks.pass(time.Millisecond)
		b.prove()
	}()
	if e := r.next(t); len(e.Sessions) > 0 || e.Proof != b.set.Now() {
		t.Errorf("%+v", e)
	}
}

// A large set comes in parts, each complete in itself, while it continues changing.
func TestFeedInParts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	lists := [][]verifier.Revocation{b.revocations(45_000)}
	b.load(lists[0]...)
	r := &reader{feed: b.Feed()}
	for parts := 1; ; parts++ {
		e := r.next(t)
		if e.Reset != (parts == 1) {
			t.Errorf("part %d: reset is %v", parts, e.Reset)
		}
		if len(e.Sessions) > 13_000 {
			t.Errorf("part %d has %d sessions", parts, len(e.Sessions))
		}
		if !e.More {
			if parts < 4 {
				t.Errorf("it came in %d parts", parts)
			}
			break
		}
		list := b.revocations(50)
		lists = append(lists, list)
		b.prove(list...)
	}
	r.wantKnown(t, lists...)

	// A part ends as soon as it has this size.
	b = setup(t)
	full := b.revocations(10_001)
	for i := range full {
		full[i].SessionID[15] = 0
	}
	full[0].SessionID[15] = 1
	b.load(full...)
	r = &reader{feed: b.Feed()}
	if e := r.next(t); len(e.Sessions) != 10_000 || !e.More {
		t.Errorf("the first part has %d sessions", len(e.Sessions))
	}

	// It begins again where the set is replaced in the middle of it.
	r = &reader{feed: b.Feed()}
	r.next(t)
	other := b.revocations(45_000)
	b.load(other...)
	for more := true; more; {
		more = r.next(t).More
	}
	if r.resets != 2 {
		t.Errorf("%d resets", r.resets)
	}
	r.wantKnown(t, full, other)
}

// Cursors of another process, or from long ago, are caught up with by the source.
func TestFeedCatchesUp(t *testing.T) {
	t.Parallel()
	var asked []string
	missed := []verifier.Revocation{{SessionID: uuid.New(), Until: 1}}
	known, failure := true, error(nil)
	newBench := func() *bench {
		b := &bench{clocks: newClocks(), source: byHand{make(chan *verifier.Set, 1)}}
		source := remembers{b.source, func(cursor string) ([]verifier.Revocation, bool, error) {
			asked = append(asked, cursor)
			return missed, known, failure
		}}
		var err error
		if b.Verifier, err = verifier.New(checkerOf(t), source, verifier.Config{Strict: nobody, Now: b.clocks.read}); err != nil {
			t.Fatal(err)
		}
		runVerifier(t, b.Verifier)
		b.set = <-b.source.sets
		return b
	}
	first, second := newBench(), newBench()
	first.load()
	second.load(second.revocations(5)...)
	r := &reader{feed: first.Feed()}
	r.next(t)
	old := r.cursor

	r.feed = second.Feed()
	if e := r.next(t); e.Reset || !slices.Equal(e.Sessions, missed) {
		t.Errorf("from another process: %+v", e)
	}
	second.prove()
	if e := r.next(t); e.Reset || len(e.Sessions) > 0 {
		t.Errorf("then from this one: %+v", e)
	}

	// More than it remembers, in one batch and in many.
	mine := r.cursor
	second.prove(second.revocations(132_000)...)
	for range 2 {
		second.prove(second.revocations(70_000)...)
	}
	r.cursor = mine
	if e := r.next(t); e.Reset || !slices.Equal(e.Sessions, missed) {
		t.Errorf("from long ago: %+v", e)
	}
	if diff := cmp.Diff([]string{"loaded", "proven"}, asked); diff != "" {
		t.Errorf("what the source was asked: %s", diff)
	}

	known = false
	r.cursor = old
	if e := r.next(t); !e.Reset {
		t.Errorf("from a state that no longer exists: %+v", e)
	}
	failure = errDown
	if _, err := r.feed.Next(t.Context(), old); !errors.Is(err, verifier.ErrUnavailable) {
		t.Errorf("the source is down: %v", err)
	}
}

func checkerOf(t *testing.T) *tokens.Verifier {
	t.Helper()
	checker, err := tokens.NewVerifier(newRing(t), tokenConfig())
	if err != nil {
		t.Fatal(err)
	}
	return checker
}

func TestFeedCursors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load()
	for _, cursor := range []string{
		"x", ".", "...", "a.b.0.c", "a.-1.0.c", "a.1.256.c", "a.1.-1.c", "a.1.0.c\n", "a.1.0.c ", "a.1.0.é",
		"a.99999999999999999999.0.c", "a.1.0." + strings.Repeat("x", 20_000),
		"a.1.0." + strings.Repeat("x", 16<<10-len("a.1.0.")+1), "a.1.0.\x7f", "a.1.0.c\x00", "a.+1.0.c", "a.1.+1.c", "a.1..c", "a..0.c",
	} {
		if _, err := b.Feed().Next(t.Context(), cursor); !errors.Is(err, verifier.ErrCursor) {
			t.Errorf("%.20q: %v", cursor, err)
		}
	}
	// Well-formed, but not issued by any process: from the beginning, since nothing else
	// is known to be right.
	for _, cursor := range []string{"a.1.0.", "a.1.0.c", "a.1.0.~", "a.1.0.!", "a.1.0." + strings.Repeat("x", 16<<10-len("a.1.0.")), "a.1.255.c.d", "a.18446744073709551615.1.x"} {
		if e, err := b.Feed().Next(t.Context(), cursor); err != nil || !e.Reset {
			t.Errorf("%q: %+v, %v", cursor, e, err)
		}
	}
}

func FuzzFeedCursor(f *testing.F) {
	f.Add("a.1.0.c")
	f.Add("k3v9x2mqpa.1523.17.7329014355519823312-01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91:742:745:743,744")
	f.Fuzz(func(t *testing.T, cursor string) {
		b := setup(t)
		b.load()
		e, err := b.Feed().Next(t.Context(), cursor)
		if err != nil && !errors.Is(err, verifier.ErrCursor) || err == nil && !e.Reset {
			t.Errorf("%+v, %v", e, err)
		}
	})
}
