package tokens

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// numbered is a token's digest.
func numbered(n int) *digest {
	d := digest(sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))))
	return &d
}

// filled has tokens with the numbers up to one in its memory, which expire after a while.
func filled(t *testing.T, m *memory, from, to int, lifetime time.Duration) {
	t.Helper()
	for n := from; n < to; n++ {
		m.add(numbered(n), &verifiedClaims{Claims: Claims{Generation: int64(n), ExpiresAt: m.cfg.Now().Add(lifetime)}})
	}
}

// known counts the tokens in the memory, each of which must have its own claims.
func (m *memory) known(t *testing.T, from, to int) (known int) {
	t.Helper()
	for n := from; n < to; n++ {
		if c := m.get(numbered(n)); c != nil {
			known++
			if c.Generation != int64(n) {
				t.Fatalf("token %d has the claims of %d", n, c.Generation)
			}
		}
	}
	return known
}

// kept counts the claims that the memory refers to.
func (m *memory) kept() (kept int) {
	for i := range m.buckets {
		if b := m.buckets[i].Load(); b != nil {
			for place := range b.claims {
				if b.claims[place].Load() != nil {
					kept++
				}
			}
		}
	}
	return kept
}

func memoryOf(remember int, now func() time.Time) *memory {
	return newMemory(Config{Remember: remember, Leeway: 5 * time.Second, Now: now})
}

// No more tokens are remembered than configured, whatever comes, and not many fewer.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for _, remember := range []int{1, 2, 7, 8, 100, 5000} {
		m := memoryOf(remember, time.Now)
		filled(t, m, 0, 3*remember, time.Hour)
		m.known(t, 0, 3*remember)
		filled(t, m, 0, 3*remember, time.Hour) // as by requests at the same time: no token takes two places
		kept, known := m.kept(), m.known(t, 0, 3*remember)
		if kept > remember || kept != known || float64(kept) < 0.8*float64(remember) && remember > 8 || kept < 1 {
			t.Errorf("of %d tokens %d are kept and %d known, %d are to be", 3*remember, kept, known, remember)
		}
	}
	if m := memoryOf(-1, time.Now); m != nil || m.get(numbered(1)) != nil {
		t.Error("none are to be remembered")
	}
}

// As long as there are fewer tokens than it remembers, it hardly forgets any.
func TestMemoryFillsUp(t *testing.T) {
	t.Parallel()
	for _, share := range []int{50, 90, 95} {
		n := defaultRemember * share / 100
		m := memoryOf(defaultRemember, time.Now)
		filled(t, m, 0, n, time.Hour)
		if known := m.known(t, 0, n); float64(known) < 0.995*float64(n) {
			t.Errorf("of %d tokens %d are known", n, known)
		}
	}
}

// Tokens that come once do not displace those that come again and again.
func TestMemoryKeepsWhatIsPresentedAgain(t *testing.T) {
	t.Parallel()
	const remember, often, rounds = 7000, 3000, 20
	m := memoryOf(remember, time.Now)
	filled(t, m, 0, often, time.Hour)
	lost := 0
	for round := range rounds {
		lost += often - m.known(t, 0, often)
		for n := range often {
			if m.get(numbered(n)) == nil {
				filled(t, m, n, n+1, time.Hour)
			}
		}
		filled(t, m, (round+1)*1_000_000, (round+1)*1_000_000+1000, time.Hour)
	}
	t.Logf("%d of %d checks had to be repeated", lost, rounds*often)
	if share := float64(lost) / (rounds * often); share > 0.01 {
		t.Errorf("%.1f %% of the checks had to be repeated", 100*share)
	}
}

// Whichever tokens of a full bucket were presented again, the others are forgotten first.
// It makes no difference who had the places before.
func TestMemoryForgetsWhatIsNotPresentedAgain(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for again := range 1 << bucketPlaces {
		m := memoryOf(bucketPlaces, func() time.Time { return now })
		for first := 0; first < 200; first += 100 {
			filled(t, m, first, first+bucketPlaces, time.Minute)
			for n := range bucketPlaces {
				if again>>n&1 == 1 {
					m.known(t, first+n, first+n+1)
				}
			}
			for m.swept = range bucketPlaces { // whichever bucket was swept
				b, i := m.place([2]uint32{})
				if n := int(b.claims[i].Load().Generation) - first; again != 1<<bucketPlaces-1 && again>>n&1 == 1 {
					t.Errorf("%07b were presented again, number %d is forgotten", again, first+n)
				}
			}
			for n := range bucketPlaces {
				if again>>n&1 == 0 {
					filled(t, m, first+50+n, first+51+n, time.Minute)
					m.known(t, first+50+n, first+51+n)
				}
			}
			for n := range bucketPlaces {
				if known := m.known(t, first+n, first+n+1); known != again>>n&1 {
					t.Errorf("%07b were presented again, of number %d are known: %d", again, first+n, known)
				}
			}
			now = now.Add(time.Hour)
		}
	}
}

// When all tokens of a bucket were presented again, any is forgotten, and the others must
// be presented again.
func TestMemoryOfWhatIsPresentedAgain(t *testing.T) {
	t.Parallel()
	const n = bucketPlaces
	m := memoryOf(n, time.Now)
	filled(t, m, 0, n, time.Hour)
	for next := n; next < 3*n; next++ {
		m.known(t, 0, 2000)
		filled(t, m, next, next+1, time.Hour)
		m.known(t, next, next+1)
		filled(t, m, 1000+next, 1001+next, time.Hour)
		if m.known(t, next, next+1) != 1 {
			t.Errorf("token %d is forgotten, the only one that was presented again", next)
		}
	}
}

// A token is forgotten when it has expired: what a client no longer sends is not kept.
func TestMemoryForgetsWhatExpires(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := memoryOf(700, func() time.Time { return now })
	filled(t, m, 0, 400, time.Minute)
	filled(t, m, 400, 450, time.Hour)
	now = now.Add(time.Minute + 4*time.Second) // within the leeway
	filled(t, m, 1000, 1100, time.Hour)
	if known := m.known(t, 0, 450); known != 450 {
		t.Errorf("of 450 tokens that have not expired %d are known", known)
	}
	now = now.Add(time.Second)
	filled(t, m, 1100, 1200, time.Hour) // as many as there are buckets
	if kept := m.kept(); kept != 50+200 {
		t.Errorf("%d tokens are kept, %d of which have not expired", kept, 50+200)
	}

	filled(t, m, 2000, 5000, time.Minute)
	now = now.Add(time.Hour + time.Minute)
	filled(t, m, 5000, 5050, time.Hour) // half of the buckets are still full of what has expired
	if known := m.known(t, 5000, 5050); known != 50 {
		t.Errorf("of 50 tokens, and others that have expired, %d are known", known)
	}
}

// Reading needs no lock: whatever is added meanwhile, a token has its own claims, or none.
func TestMemoryIsReadWhileItChanges(t *testing.T) {
	t.Parallel()
	m := memoryOf(50, time.Now)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5000 {
				if n := rand.IntN(120); m.known(t, n, n+1) == 0 {
					filled(t, m, n, n+1, time.Hour)
				}
			}
		})
	}
	all.Wait()
	if kept := m.kept(); kept > 50 || kept != m.known(t, 0, 120) {
		t.Errorf("%d are kept, %d known", kept, m.known(t, 0, 120))
	}
}

// A client sends a refresh token once: it is not remembered.
func TestMemoryOfAccessTokensOnly(t *testing.T) {
	t.Parallel()
	jwk, _, err := GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Issuer: "https://id.example.com", Audience: "api"}
	signer, err := NewSigner(ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := NewVerifier(ring, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[Type]bool{AccessToken: true, RefreshToken: false} {
		token, err := signer.Sign(Claims{Type: typ, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verifier.Verify(string(token), typ); err != nil {
			t.Fatal(err)
		}
		d := digest(sha256.Sum256([]byte(token)))
		if has := verifier.ring.Load().verified.get(&d) != nil; has != want {
			t.Errorf("%s is remembered: %v", typ, has)
		}
	}
}
