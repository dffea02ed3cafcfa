package keystore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Defaults of [Config].
const (
	DefaultAlgorithm    = "ES256"
	DefaultPublishAhead = 15 * time.Minute
	DefaultPoll         = 10 * time.Second
)

const pollTimeout = 5 * time.Second

// Config says how keys are kept.
type Config struct {
	// Sealer seals the private keys. Required.
	Sealer *tokens.Sealer
	// Algorithm is that of new keys, one of [tokens.AlgorithmNames]. Zero means
	// that of the previous key, which is what the tokens' verifiers expect, and
	// [DefaultAlgorithm] for the first.
	Algorithm string
	// RotateEvery is how long a key signs until [Store.Maintain] replaces it.
	// Zero means that it does not.
	RotateEvery time.Duration
	// PublishAhead is how long a new key is published before it signs. It must be
	// longer than copies of the published keys are kept. Zero means 15 min.
	PublishAhead time.Duration
	// Poll is how often the keys are read if no notification arrives. Zero means
	// 10 s.
	Poll time.Duration
	// Direct, if set, makes connections that bypass the pooler in transaction mode
	// to which the store's pool leads: notifications arrive on one.
	Direct *pgxpool.Pool
	// Copies are further databases that sessions are spread over. They keep copies of the keys,
	// which are written after each change and compared every Poll: while the store's own
	// database does not answer, the keys are read from the newest copy. Keys can be changed only
	// while it does.
	Copies []Copy
	// Logger records changes. Nil means [slog.Default].
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Sealer == nil {
		return c, errors.New("keystore: a Sealer is required")
	}
	if c.Algorithm != "" && !slices.Contains(tokens.AlgorithmNames(), c.Algorithm) {
		return c, fmt.Errorf("keystore: Algorithm is %q, it must be one of %v", c.Algorithm, tokens.AlgorithmNames())
	}
	c.PublishAhead = cmp.Or(c.PublishAhead, DefaultPublishAhead)
	c.Poll = cmp.Or(c.Poll, DefaultPoll)
	if c.RotateEvery < 0 || c.PublishAhead < 0 || c.Poll < 0 {
		return c, errors.New("keystore: RotateEvery, PublishAhead and Poll may not be negative")
	}
	if c.RotateEvery != 0 && c.RotateEvery <= c.PublishAhead {
		return c, fmt.Errorf("keystore: RotateEvery is %v, it must be longer than PublishAhead, which is %v", c.RotateEvery, c.PublishAhead)
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c, nil
}

// Copy is a further database with the same schema, which keeps a copy of the sealed keys.
type Copy struct {
	// Name is what the log calls it.
	Name string
	Pool *pgxpool.Pool
}

// keyCopy is a copy, and how it was when it was looked at last.
type keyCopy struct {
	Copy

	primary   primary.Watch
	isFailing bool // guarded by [Store.syncing]
}

// Store keeps the keys. It is safe for concurrent use.
type Store struct {
	pool *pgxpool.Pool
	cfg  Config
	// primary gives up connections to a server that is no longer the primary.
	primary primary.Watch
	copies  []*keyCopy
	syncing chan struct{} // full while the copies are compared; filled after mu is locked

	mu       sync.Mutex // held while the keys are read
	begun    time.Time  // when that last began
	failed   error      // and its result
	ring     *tokens.KeyRing
	rows     []row // what the ring was made from
	version  int64 // of these
	isCopy   bool  // whether they were read from a copy
	onChange []func(*tokens.KeyRing) error
	onRotate []func(context.Context, string)
}

// New returns a store on the caller's pool, whose schema must have been
// migrated. It sends no query and starts no goroutine: see [Store.Begin] and
// [Store.Run].
func New(pool *pgxpool.Pool, cfg Config) (*Store, error) {
	if pool == nil {
		return nil, errors.New("keystore: a pool is required")
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, cfg: cfg, syncing: make(chan struct{}, 1)}
	for _, c := range cfg.Copies {
		if c.Pool == nil {
			return nil, fmt.Errorf("keystore: the copy %q requires a pool", c.Name)
		}
		s.copies = append(s.copies, &keyCopy{Copy: c})
	}
	return s, nil
}

// OnChange makes the store call f with each new ring, one at a time. Call it before
// [Store.Run]. If f fails, it is called again at the next poll.
func (s *Store) OnChange(f func(*tokens.KeyRing) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onChange = append(s.onChange, f)
}

// OnRotate makes the store call f with the id of each key that [Store.Maintain]
// makes here, once it is committed. Call it before Maintain.
func (s *Store) OnRotate(f func(ctx context.Context, id string)) {
	s.onRotate = append(s.onRotate, f)
}
