package verifier

import (
	"context"
	"errors"
	"fmt"
)

// Source finds out which sessions were revoked.
type Source interface {
	// Follow reports revocations to the set until ctx ends, and then returns nil. It
	// begins with all of them (see [Batch]), and asks for new ones several times
	// within [Set.Bound]. A failure is not a reason to return: it calls
	// [Set.Failed] and tries again.
	Follow(ctx context.Context, set *Set) error
}

// Catcher is a source that can report what was revoked after any of its own cursors,
// for a feed whose reader was away for longer than the feed remembers.
type Catcher interface {
	// Since returns the sessions that were revoked after the cursor. It returns
	// false if the cursor's state no longer exists, or is too old: then the
	// reader must start over.
	Since(ctx context.Context, cursor string) ([]Revocation, bool, error)
}

// follow follows a source until ctx ends, from the beginning whenever the set must be
// reloaded.
func follow(ctx context.Context, source Source, set *Set) error {
	for ctx.Err() == nil {
		if err := followOnce(ctx, source, set); err != nil {
			return err
		}
	}
	return nil
}

// followOnce follows a source until ctx ends or the set must be reloaded.
func followOnce(ctx context.Context, source Source, set *Set) error {
	again, cancel := context.WithCancel(ctx)
	defer cancel()
	set.restartBy(cancel)
	err := source.Follow(again, set)
	if again.Err() != nil {
		return nil // whatever the source returned when its context ended
	}
	if err == nil {
		err = errors.New("the source has stopped")
	}
	return fmt.Errorf("verifier: %w", err)
}
