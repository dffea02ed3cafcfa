package sessionstore

// SignIntrospection returns the signed form of the answer to an introspection
// (RFC 9701 §5), for the caller who asked: see [tokens.Signer.SignIntrospection].
// It asks no database. The error is [tokens.ErrNotPublic] where the signing key
// is an HMAC key.
func (s *Store) SignIntrospection(caller string, answer []byte) ([]byte, error) {
	return s.signer.Load().SignIntrospection(caller, answer)
}
