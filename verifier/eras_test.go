package verifier_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

// tokenOfEra signs an access token of a session that began in an era.
func (b *bench) tokenOfEra(t *testing.T, era int64, issued time.Time) string {
	t.Helper()
	token, err := b.signer.Sign(tokens.Claims{
		Type: tokens.AccessToken, Subject: "ann", SessionID: uuid.Must(uuid.NewV7()), TokenID: uuid.Must(uuid.NewV7()),
		IssuedAt: issued, ExpiresAt: b.clocks.wall().Add(time.Hour), Era: era,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(token)
}

// signOut is that everyone was signed out now.
func (b *bench) signOut(era int64) verifier.Revocation {
	now := b.clocks.wall()
	return verifier.Revocation{Era: era, Before: now.Unix(), Until: now.Add(24*time.Hour).Unix() + slack}
}

func (b *bench) wantVerdict(t *testing.T, what, token string, want error) {
	t.Helper()
	before := b.asked.Load()
	_, err := b.Verify(t.Context(), token)
	asked := b.asked.Load() > before
	if wantsAsked := errors.Is(want, verifier.ErrUnavailable); !errors.Is(err, want) || asked != wantsAsked {
		t.Errorf("%s: %v, asked: %v; want %v", what, err, asked, want)
	}
}

// One entry has all tokens refused that were issued before, and no other; the service is asked about what only a
// clock or a failover can have made.
func TestEverybodyIsSignedOut(t *testing.T) {
	t.Parallel()
	b := setup(t) // where it is asked, nobody answers
	now := b.clocks.wall()
	old, ahead := b.tokenOfEra(t, 0, now.Add(-time.Minute)), b.tokenOfEra(t, 0, now.Add(time.Minute))
	second, third, late := b.tokenOfEra(t, 1, now.Add(-time.Minute)), b.tokenOfEra(t, 2, now), b.tokenOfEra(t, 2, now.Add(-time.Hour))
	b.load()
	for _, token := range []string{old, ahead, second, third, late} {
		b.wantVerdict(t, "before", token, nil)
	}
	want := func(what string) {
		t.Helper()
		b.wantVerdict(t, what+": of the first era", old, verifier.ErrRevoked)
		b.wantVerdict(t, what+": of the second era", second, verifier.ErrRevoked)
		b.wantVerdict(t, what+": of the first era, from the future", ahead, verifier.ErrUnavailable)
		b.wantVerdict(t, what+": of this era", third, nil)
		b.wantVerdict(t, what+": of this era, by a clock that was set back", late, nil)
	}
	out := b.signOut(2)
	b.prove(out)
	want("at once")
	b.prove(b.signOut(1))
	want("after an earlier one")
	if n := b.Len(); n != 0 {
		t.Errorf("%d sessions are remembered", n)
	}
	b.clocks.pass(10 * time.Minute)
	b.load(out)
	want("loaded again")
}

// A sign-out that the source has forgotten counts for as long as tokens from before it may live, and refuses no token
// that was issued since.
func TestASignOutThatWasLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old, other := b.tokenOfEra(t, 1, b.clocks.wall().Add(-time.Minute)), b.tokenOfEra(t, 1, b.clocks.wall().Add(time.Second))
	b.load(b.signOut(1))
	b.prove(b.signOut(2))
	b.load(b.signOut(1))
	b.wantVerdict(t, "from before", old, verifier.ErrRevoked)
	b.wantVerdict(t, "issued since", other, verifier.ErrUnavailable)
	for range 2 { // once more kept
		b.load()
		b.wantVerdict(t, "from before, loaded again", old, verifier.ErrRevoked)
		b.prove()
		b.wantVerdict(t, "from before, proven since", old, verifier.ErrRevoked)
	}
	b.prove(b.signOut(2))
	b.wantVerdict(t, "when it is there again", old, verifier.ErrRevoked)
	b.load(b.signOut(1))
	b.clocks.pass(25 * time.Hour)
	b.prove()
	b.wantVerdict(t, "once its time is over", b.tokenOfEra(t, 1, b.clocks.wall()), nil)
	b.load(b.signOut(1))
	b.wantVerdict(t, "and loaded again", b.tokenOfEra(t, 1, b.clocks.wall()), nil)
}

// A follower of the feed gets the sign-out: with everything, and as news.
func TestTheFeedTellsThatEverybodyIsSignedOut(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load()
	first, err := b.Feed().Next(t.Context(), "")
	if err != nil || len(first.Sessions) != 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	out := b.signOut(1)
	b.prove(out)
	news, err := b.Feed().Next(t.Context(), first.Cursor)
	if err != nil || len(news.Sessions) != 1 || news.Sessions[0] != out {
		t.Errorf("as news: %+v, %v", news, err)
	}
	all, err := b.Feed().Next(t.Context(), "")
	for more := all; err == nil && more.More; {
		if more, err = b.Feed().Next(t.Context(), more.Cursor); err == nil {
			all.Sessions = append(all.Sessions, more.Sessions...)
		}
	}
	if err != nil || len(all.Sessions) != 1 || all.Sessions[0] != out {
		t.Errorf("with everything: %+v, %v", all, err)
	}
}
