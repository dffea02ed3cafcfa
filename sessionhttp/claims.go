package sessionhttp

// Claims returns the claims of the session's own that the request's access token has, by
// the json tags of C's fields. A name must be spelled as the member is; members that C does
// not have are left out, and fields without a member are zero.
func Claims[C, T any](s *Session[T]) (C, error) {
	var own C
	err := s.Claims.Decode(&own)
	return own, err
}
