package verifier

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// claimsOf has the claims of a session in a shard for every token.
type claimsOf map[string]*tokens.Claims

func (c claimsOf) verify(_ context.Context, token string) (*tokens.Claims, error) {
	return c[token], nil
}

// told follows the test's calls of the set.
type told chan func(*Set)

func (s told) Follow(ctx context.Context, set *Set) error {
	for {
		select {
		case tell := <-s:
			tell(set)
		case <-ctx.Done():
			return nil
		}
	}
}

// prove has the set complete, with these sessions revoked.
func (s told) prove(revoked ...uuid.UUID) {
	done := make(chan struct{})
	s <- func(set *Set) {
		defer close(done)
		b := Batch{Reset: true, Proof: set.Now(), Cursor: "c"}
		for _, id := range revoked {
			b.Sessions = append(b.Sessions, Revocation{SessionID: id, Until: time.Now().Add(time.Hour).Unix()})
		}
		set.Apply(b)
	}
	<-done
}

func idIn(t *testing.T, shard int) uuid.UUID {
	t.Helper()
	id, err := sessionid.New(shard)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Each shard has its own proof: each token of a silent shard, and of one that is not followed, causes
// a strict check, and tokens of the others do not. A revocation counts in its shard.
func TestShardsAreProvenOneByOne(t *testing.T) {
	t.Parallel()
	expires := time.Now().Add(time.Hour)
	known := claimsOf{}
	ids := map[string]uuid.UUID{"first": idIn(t, 0), "one": idIn(t, 1), "revoked in one": idIn(t, 1), "two": idIn(t, 2), "unknown": idIn(t, 3)}
	for token, id := range ids {
		known[token] = &tokens.Claims{SessionID: id, TokenID: uuid.New(), ExpiresAt: expires}
	}
	var asked []string
	first, one, two := make(told), make(told), make(told)
	cfg, err := Config{
		Bound: time.Hour, Shards: map[int]Source{1: one, 2: two}, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Strict: func(_ context.Context, token string, _ tokens.Claims) error {
			asked = append(asked, token)
			return nil
		},
	}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(known, first, cfg, &databaseClock{now: cfg.Now, logger: cfg.Logger})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- v.Run(ctx) }()
	first.prove()
	one.prove(ids["revoked in one"])
	for token := range ids {
		_, err := v.Verify(t.Context(), token)
		if want := map[string]error{"revoked in one": ErrRevoked}[token]; !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", token, err, want)
		}
	}
	slices.Sort(asked)
	if want := []string{"two", "unknown"}; !slices.Equal(asked, want) {
		t.Errorf("asked about %v, want %v", asked, want)
	}
	if age, known := v.ShardAge(1); !known || age > time.Minute {
		t.Errorf("the age of shard 1: %v, %v", age, known)
	}
	if age := v.Age(); age < 24*time.Hour {
		t.Errorf("the age of all is %v, although one was never proven", age)
	}
	asked = nil
	two.prove(ids["two"])
	if _, err := v.Verify(t.Context(), "two"); !errors.Is(err, ErrRevoked) || asked != nil {
		t.Errorf("two, after its proof: %v, asked about %v", err, asked)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// caught is a source that can catch up.
type caught struct {
	told
	catches
}

// Each shard has its own age and its own feed, which asks its own source; a shard that is not followed has none.
func TestShardsHaveAgesAndFeeds(t *testing.T) {
	t.Parallel()
	now := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
	first, second, third := &caught{}, &caught{}, make(told)
	cfg, err := Config{
		Shards: map[int]Source{1: second, 2: third}, Now: func() Moment { return now },
		Strict: func(context.Context, string, tokens.Claims) error { return nil },
	}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(claimsOf{}, first, cfg, &databaseClock{now: cfg.Now, logger: cfg.Logger})
	for shard, set := range map[int]*Set{0: v.set, 1: v.shards.all()[1], 2: v.shards.all()[2]} {
		set.Apply(Batch{Reset: true, Proof: now.Add(-time.Duration(shard+1) * time.Second), Cursor: "c"})
	}
	for shard, want := range map[int]struct {
		set     *Set
		catcher Catcher
	}{0: {v.set, first}, 1: {v.shards.all()[1], second}, 2: {v.shards.all()[2], nil}} {
		if age, known := v.ShardAge(shard); !known || age != time.Duration(shard+1)*time.Second {
			t.Errorf("shard %d: %v old, %v", shard, age, known)
		}
		if feed, known := v.ShardFeed(shard); !known || feed.set != want.set || feed.catcher != want.catcher {
			t.Errorf("shard %d: %+v, %v", shard, feed, known)
		}
	}
	if age, known := v.ShardAge(3); known || age != 0 {
		t.Errorf("a shard that is not followed: %v old", age)
	}
	if feed, known := v.ShardFeed(3); known || feed != nil {
		t.Errorf("a shard that is not followed: %+v", feed)
	}
}

// gone is a source that gives up.
type gone struct{}

var errGone = errors.New("gone")

func (gone) Follow(context.Context, *Set) error { return errGone }

// The verifier ends, and says why, if the source of any shard gives up, be it the first.
func TestAShardThatGivesUpEndsAll(t *testing.T) {
	t.Parallel()
	for first, second := range map[Source]Source{make(told): gone{}, gone{}: make(told)} {
		cfg, err := Config{Shards: map[int]Source{1: second, 2: make(told)}, Strict: func(context.Context, string, tokens.Claims) error { return nil }}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		v := newVerifier(claimsOf{}, first, cfg, &databaseClock{now: cfg.Now, logger: cfg.Logger})
		if err := v.Run(t.Context()); !errors.Is(err, errGone) {
			t.Errorf("%T and %T: %v, want %v", first, second, err, errGone)
		}
	}
}

// Shards come and go while they are followed: one that stays keeps its set and its source, one that
// comes back is followed again, and what follows them ends after its sources.
func TestShardsComeAndGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Now: Now, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
		s := newShards(func() *Set { return newSet(time.Second, &databaseClock{now: cfg.Now, logger: cfg.Logger}) })
		followed, left := make(chan int), make(chan int)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			done <- s.follow(ctx, func(shard int) Source {
				return sourceFunc(func(ctx context.Context) {
					followed <- shard
					<-ctx.Done()
					left <- shard
				})
			})
		}()
		numbers := func() []int { return slices.Sorted(maps.Keys(s.all())) }
		for _, step := range []struct{ are, comes, leaves []int }{
			{[]int{1, 0, -1, sessionid.MaxShard + 1}, []int{1}, nil},
			{[]int{1, 2}, []int{2}, nil},
			{[]int{2, 1}, nil, nil},
			{[]int{2}, nil, []int{1}},
			{[]int{1, 2}, []int{1}, nil},
			{[]int{1, sessionid.MaxShard}, []int{sessionid.MaxShard}, []int{2}}, // as many as before
			{[]int{sessionid.MaxShard}, nil, []int{1}},
		} {
			before, stored := s.all(), s.sets.Load()
			s.are(step.are)
			for _, shard := range step.comes {
				if got := <-followed; got != shard {
					t.Errorf("%v: %d is followed, want %d", step.are, got, shard)
				}
			}
			for _, shard := range step.leaves {
				if got := <-left; got != shard {
					t.Errorf("%v: %d is left, want %d", step.are, got, shard)
				}
			}
			if want := slices.DeleteFunc(slices.Sorted(slices.Values(step.are)), func(n int) bool { return n < 1 || n > sessionid.MaxShard }); !slices.Equal(numbers(), want) {
				t.Errorf("%v: there are %v", step.are, numbers())
			}
			for number, set := range s.all() {
				if was, stays := before[number]; set == nil || stays && set != was {
					t.Errorf("%v: %d has another set", step.are, number)
				}
			}
			if step.comes == nil && step.leaves == nil && s.sets.Load() != stored {
				t.Errorf("%v: followers are woken for nothing", step.are)
			}
			synctest.Wait()
			select {
			case shard := <-followed:
				t.Errorf("%v: %d is followed too", step.are, shard)
			case shard := <-left:
				t.Errorf("%v: %d is left too", step.are, shard)
			case err := <-done:
				t.Fatalf("%v: it ended: %v", step.are, err)
			default:
			}
		}
		stop()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("it ended before its source: %v", err)
		default:
		}
		if got := <-left; got != sessionid.MaxShard {
			t.Errorf("%d is left", got)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

type sourceFunc func(context.Context)

func (f sourceFunc) Follow(ctx context.Context, _ *Set) error {
	f(ctx)
	return nil
}
