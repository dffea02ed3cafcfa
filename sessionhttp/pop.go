package sessionhttp

import "context"

// Pop takes a value out of the session's data, such as a message that the next page shows: it
// returns what member points to, and leaves it zero. That is a change as one of
// [Session.Update] is, or none if there was nothing: with a response that fails the value stays. Of two requests
// at the same time both may get it.
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
