package tokens

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"sync/atomic"
)

// memory holds the claims of access tokens whose signature has been checked, by the
// tokens' SHA-256: no token is kept, and two tokens with the same digest would
// mean that SHA-256 is broken. A nil memory remembers nothing.
//
// It is a hash table that is read without a lock, without allocating, without a clock,
// and mostly without writing. Each token may be in two buckets, so that nearly all
// places are taken before one is forgotten for another. Then it is one that was not
// presented again, if there is one, so that many tokens that come once do not displace
// those that come often. Whenever one is added, those of a bucket that have expired
// are forgotten, of each bucket in turn.
type memory struct {
	cfg     Config
	seed    maphash.Seed // so that nobody can look for tokens of the same bucket
	buckets []atomic.Pointer[bucket]
	places  int // that are used of each bucket

	mu    sync.Mutex // for writers
	swept int        // the bucket that was swept last
}

// bucketPlaces makes a bucket as large as the lines in which a processor fetches memory.
const bucketPlaces = 7

// bucket is written by one goroutine at a time. To a reader, a change that is under way
// looks like a token that is not there, because the whole digest is compared.
type bucket struct {
	claims [bucketPlaces]atomic.Pointer[verifiedClaims]
	// marks has a byte of the digest for each place, so that hardly any others are
	// looked at, and above those a bit for what was presented again.
	marks atomic.Uint64
}

const presentedBits = 8 * bucketPlaces

func newMemory(cfg Config) *memory {
	if cfg.Remember < 0 {
		return nil
	}
	places := min(bucketPlaces, cfg.Remember)
	return &memory{cfg: cfg, seed: maphash.MakeSeed(), buckets: make([]atomic.Pointer[bucket], cfg.Remember/places), places: places}
}

// get returns the claims of a token, nil for one that is not remembered.
func (m *memory) get(d *digest) *verifiedClaims {
	if m == nil {
		return nil
	}
	for _, at := range m.bucketsOf(d) {
		b := m.buckets[at].Load()
		if b == nil {
			continue
		}
		marks := b.marks.Load()
		for i := range m.places {
			if marks>>(8*i)&0xff != uint64(d[0]) {
				continue
			}
			if c := b.claims[i].Load(); c != nil && c.digest == *d {
				if presented := uint64(1) << (presentedBits + i); marks&presented == 0 {
					b.marks.Or(presented)
				}
				return c
			}
		}
	}
	return nil
}

// bucketsOf returns the numbers of a token's two buckets.
func (m *memory) bucketsOf(d *digest) [2]uint32 {
	hash, n := maphash.Bytes(m.seed, d[:]), uint32(len(m.buckets)) //nolint:gosec // no memory has more
	first, _ := bits.Mul32(uint32(hash>>32), n)
	second, _ := bits.Mul32(uint32(hash), n) //nolint:gosec // its lower half
	return [2]uint32{first, second}
}

// add remembers the claims of a token.
func (m *memory) add(d *digest, c *verifiedClaims) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.swept = (m.swept + 1) % len(m.buckets)
	m.sweep(m.buckets[m.swept].Load())
	if m.get(d) != nil { // another request was faster
		return
	}
	c.digest = *d
	b, i := m.place(m.bucketsOf(d))
	b.put(i, c)
}

// place returns a place in one of two buckets: a free one, or that of a token that can move
// to its other bucket, or that of one that was not presented again, or else any.
func (m *memory) place(in [2]uint32) (*bucket, int) {
	if b, i := m.free(in); b != nil {
		return b, i
	}
	for _, at := range in {
		from := m.buckets[at].Load()
		for i := range m.places {
			c := from.claims[i].Load()
			if to, j := m.free(m.bucketsOf(&c.digest)); to != nil {
				to.put(j, c)
				return from, i
			}
		}
	}
	for _, at := range in {
		b := m.buckets[at].Load()
		for i, marks := 0, b.marks.Load()>>presentedBits; i < m.places; i++ {
			if marks>>i&1 == 0 {
				return b, i
			}
		}
	}
	b := m.buckets[in[m.swept%2]].Load()
	b.marks.And(1<<presentedBits - 1) // from now on it counts what is presented again
	return b, m.swept % m.places
}

// free returns a free place in the emptier one of two buckets, if there is one.
func (m *memory) free(in [2]uint32) (emptier *bucket, place int) {
	most := 0
	for _, at := range in {
		if m.buckets[at].Load() == nil {
			m.buckets[at].Store(new(bucket))
		}
		b := m.buckets[at].Load()
		if i, n := m.sweep(b); n > most {
			emptier, place, most = b, i, n
		}
	}
	return emptier, place
}

// sweep forgets what has expired in a bucket, and returns a free place and how many there are.
func (m *memory) sweep(b *bucket) (free, n int) {
	if b == nil {
		return 0, 0
	}
	now := m.cfg.Now()
	for i := range m.places {
		c := b.claims[i].Load()
		if c != nil && c.isExpired(now, m.cfg.Leeway) {
			b.claims[i].Store(nil)
			c = nil
		}
		if c == nil {
			free, n = i, n+1
		}
	}
	return free, n
}

// put replaces what is in a place.
func (b *bucket) put(i int, c *verifiedClaims) {
	b.marks.And(^(uint64(0xff)<<(8*i) | 1<<(presentedBits+i)))
	b.claims[i].Store(c)
	b.marks.Or(uint64(c.digest[0]) << (8 * i))
}
