package sessionstore

import (
	"errors"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// SetKeys replaces the keys that the store signs and verifies with, and those of
// its verifiers: see [Store.Verifier]. A token of a key that the ring does not
// have is refused from then on, one that was verified before too; a call that is
// signing meanwhile may still sign with the earlier key. It fails, and changes
// nothing, if no key of the ring can sign.
func (s *Store) SetKeys(keys *tokens.KeyRing) error {
	signer, err := tokens.NewSigner(keys, s.cfg.Tokens)
	if err != nil {
		return err
	}
	// The verifier first: nothing is signed that it would not accept.
	if err := s.verifier.SetRing(keys); err != nil {
		return err
	}
	s.signer.Store(signer)
	return nil
}

func (s *Store) verify(token string, want tokens.Type) (tokens.Claims, error) {
	claims, err := s.verifier.Verify(token, want)
	return claims, knownKeys(err)
}

func (s *Store) verifyAny(token string) (tokens.Claims, error) {
	claims, err := s.verifier.VerifyAny(token)
	return claims, knownKeys(err)
}

// knownKeys makes an outage of not knowing the keys.
func knownKeys(err error) error {
	if errors.Is(err, tokens.ErrKeysUnavailable) {
		return unavailable("verify a token", err)
	}
	return err
}
