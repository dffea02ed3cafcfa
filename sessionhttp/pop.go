package sessionhttp

import "context"

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
