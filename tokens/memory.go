package tokens

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"
)

// memory holds the claims of tokens whose signature has been checked, by the
// tokens' SHA-256: no token is kept, and two tokens with the same digest would
// mean that SHA-256 is broken. It forgets a token when it expires, and the
// least useful ones when it is full. A nil memory remembers nothing.
type memory struct{ cache cache }

// cache is otter's. The compiler instantiates a generic type in each package whose types contain it, at any depth, unless an interface
// is between them. Without this one, each package that has a [Verifier] somewhere would compile all of otter again.
type cache interface {
	GetIfPresent(digest [sha256.Size]byte) (*verifiedClaims, bool)
	Set(digest [sha256.Size]byte, c *verifiedClaims) (*verifiedClaims, bool)
}

func newMemory(cfg Config) (*memory, error) {
	if cfg.Remember < 0 {
		return nil, nil
	}
	cache, err := otter.New(&otter.Options[[sha256.Size]byte, *verifiedClaims]{
		MaximumSize: cfg.Remember,
		ExpiryCalculator: otter.ExpiryCreatingFunc(func(e otter.Entry[[sha256.Size]byte, *verifiedClaims]) time.Duration {
			return max(e.Value.ExpiresAt.Add(cfg.Leeway).Sub(cfg.Now()), 1)
		}),
	})
	if err != nil {
		return nil, fmt.Errorf("tokens: memory of verified tokens: %w", err)
	}
	return &memory{cache}, nil
}

func (m *memory) get(digest [sha256.Size]byte) (*verifiedClaims, bool) {
	if m == nil {
		return nil, false
	}
	return m.cache.GetIfPresent(digest)
}

func (m *memory) add(digest [sha256.Size]byte, c *verifiedClaims) {
	if m != nil {
		m.cache.Set(digest, c)
	}
}
