package sessionhttp

import "context"

// Update changes the data. Before the response begins, it returns at once, and the
// changes are stored right before the first byte; after that, it returns when they are
// stored. If f fails or panics, nothing has changed, and the error is f's.
//
// Should another request have changed the data meanwhile, f is called again, with what is
// stored: several times if necessary, and by whichever goroutine begins the response. So f
// should depend only on the data it is given and on values that do not change, and it must
// not call Update or Save. A handler whose response reports what is stored must call
// [Session.Save] before [Session.Read].
//
// Errors from storing are those of [sessionstore.Store.Update], which leave the stored session unchanged; [ErrConflict]
// only if every attempt within [Config].SaveTimeout met others' changes. That time is the only limit: the end of ctx,
// which may be the request's, stops nothing.
//
// [ErrConflict]: sessionstore.ErrConflict
func (s *Session[T]) Update(ctx context.Context, f func(*T) error) error {
	ctx, cancel := s.manager.saving(ctx)
	defer cancel()
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	if err := s.refusal(); err != nil {
		return err
	}
	now := s.current.Load()
	next, err := now.change(f)
	if err != nil || next == now {
		return err
	}
	if err := s.refusal(); err != nil { // f may have taken a while
		return err
	}
	s.current.Store(next)
	s.changes = append(s.changes, f)
	if s.phase.Load() == waiting {
		return nil
	}
	return s.save(ctx)
}

// Save stores the changes that wait for the response to begin. If it fails, they are given up,
// and the session is as it was stored. The end of ctx does not stop it.
func (s *Session[T]) Save(ctx context.Context) error {
	ctx, cancel := s.manager.saving(ctx)
	defer cancel()
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	if len(s.changes) == 0 {
		return nil
	}
	if err := s.refusal(); err != nil {
		return err
	}
	return s.save(ctx)
}

// Pop takes a value out of the session's data, such as a message that the next page shows: it
// returns what member points to, and sets it to zero. That is a change like one of [Session.Update], or none if
// there was no value: if the response fails, the value stays. Two simultaneous requests may both get it.
func Pop[V, T any](ctx context.Context, s *Session[T], member func(*T) *V) (V, error) {
	var value V
	err := s.Update(ctx, func(data *T) error {
		var zero V
		at := member(data)
		value, *at = *at, zero
		return nil
	})
	return value, err
}
