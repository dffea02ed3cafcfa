package keystore

import (
	"cmp"
	"context"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/primary"
)

// channel is notified of each change.
const channel = "latchkey_signing_keys"

const (
	pollTimeout   = 5 * time.Second
	listenPause   = time.Second
	listenTimeout = 5 * time.Second
	closeTimeout  = 100 * time.Millisecond
)

// Run follows the keys until ctx ends; then it returns nil. It reads them when
// another replica says that they have changed, and every [Config].Poll, since
// nothing promises that such a notification arrives, and since a published key
// comes to sign without one.
func (s *Store) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		s.listen(ctx, wake)
	}()
	defer func() { <-listening }()

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
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	_, err := s.Load(ctx)
	return err
}

// listen wakes at each notification, and whenever one may have been missed. Its
// failures are nobody's concern: there is the poll.
func (s *Store) listen(ctx context.Context, wake chan<- struct{}) {
	for ctx.Err() == nil {
		_ = s.listenOnce(ctx, wake)
		select {
		case <-time.After(listenPause):
		case <-ctx.Done():
		}
	}
}

func (s *Store) listenOnce(ctx context.Context, wake chan<- struct{}) error {
	starting, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	conn, err := primary.Beside(starting, cmp.Or(s.cfg.Direct, s.pool), listenTimeout)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx) // it is of no more use, whatever it says
	}()
	if _, err := conn.Exec(starting, `LISTEN `+channel); err != nil {
		return err
	}
	for {
		select {
		case wake <- struct{}{}:
		default: // it will be read anyway
		}
		if _, err := conn.WaitForNotification(ctx); err != nil {
			return err
		}
	}
}
