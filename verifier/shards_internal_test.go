package verifier

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
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

// gone is a source that gives up.
type gone struct{}

var errGone = errors.New("gone")

func (gone) Follow(context.Context, *Set) error { return errGone }

// The verifier ends, and says why, if the source of any shard gives up, be it the first.
func TestAShardThatGivesUpEndsAll(t *testing.T) {
	t.Parallel()
	for first, second := range map[Source]Source{make(told): gone{}, gone{}: make(told)} {
		cfg, err := Config{Shards: map[int]Source{1: second}, Strict: func(context.Context, string, tokens.Claims) error { return nil }}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		v := newVerifier(claimsOf{}, first, cfg, &databaseClock{now: cfg.Now, logger: cfg.Logger})
		if err := v.Run(t.Context()); !errors.Is(err, errGone) {
			t.Errorf("%T and %T: %v, want %v", first, second, err, errGone)
		}
	}
}

// Shards come and go while they are followed: one that stays keeps its set.
func TestShardsComeAndGo(t *testing.T) {
	t.Parallel()
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
	s.are([]int{1, -1, 5000})
	if got := <-followed; got != 1 || len(s.all()) != 1 {
		t.Errorf("%d, %v", got, s.all())
	}
	kept := s.all()[1]
	s.are([]int{1, 2})
	if got := <-followed; got != 2 || s.all()[1] != kept {
		t.Errorf("%d, and the set of shard 1 is another: %t", got, s.all()[1] != kept)
	}
	s.are([]int{2})
	if got := <-left; got != 1 || s.all()[1] != nil {
		t.Errorf("%d, %v", got, s.all())
	}
	stop()
	if got := <-left; got != 2 {
		t.Errorf("%d", got)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

type sourceFunc func(context.Context)

func (f sourceFunc) Follow(ctx context.Context, _ *Set) error {
	f(ctx)
	return nil
}
