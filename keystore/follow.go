package keystore

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/primary"
)

// Run follows the keys until ctx ends; then it returns nil. It reads them when
// another replica says that they have changed, and every [Config].Poll, since
// nothing promises that such a notification arrives, and since a published key
// comes to sign without one. It brings the copies up to date each time.
func (s *Store) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() { primary.Listen(ctx, cmp.Or(s.cfg.Direct, s.pool), channel, wake) })

	ticker := time.NewTicker(s.cfg.Poll)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-wake:
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		err := s.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			s.cfg.Logger.WarnContext(ctx, "the signing keys cannot be read: the known ones stay in use", "error", err)
		case err == nil && failing:
			s.cfg.Logger.InfoContext(ctx, "the signing keys can be read again")
		}
		failing = err != nil
	}
}

func (s *Store) poll(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, pollTimeout+s.copiesTimeout())
	defer cancel()
	_, err := s.Load(limited)
	s.sync(ctx)
	return err
}
