package sessionhttp

// Claims returns the session's own claims in the request's access token, by
// the json tags of C's fields. A name must be spelled as the member is; members that C does
// not have are ignored, and fields without a member are zero.
func Claims[C, T any](s *Session[T]) (C, error) {
	var own C
	err := s.Claims.Decode(&own)
	return own, err
}
