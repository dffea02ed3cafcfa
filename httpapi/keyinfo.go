package httpapi

import (
	"encoding/hex"
	"slices"
)

// KeyInfo is what is known of a service key that is accepted now.
type KeyInfo struct {
	// Name is whose key it is.
	Name string
	// Rights are what it is for.
	Rights []Right
	// Fingerprint changes with the secret, which it does not give away.
	Fingerprint string
}

// Has reports whether the key has a right.
func (k KeyInfo) Has(right Right) bool { return slices.Contains(k.Rights, right) }

// fingerprintBytes tell secrets apart.
const fingerprintBytes = 8

func (k serviceKey) info() KeyInfo {
	return KeyInfo{Name: k.name, Rights: slices.Clone(k.rights), Fingerprint: hex.EncodeToString(k.digest[:fingerprintBytes])}
}

// Key returns the service key with the secret, if there is one.
func (s *Server) Key(secret string) (KeyInfo, bool) {
	key, known := s.serviceKey(secret)
	return key.info(), known
}

// KeyNamed returns the service key with the name, if there is one.
func (s *Server) KeyNamed(name string) (KeyInfo, bool) {
	keys := *s.serviceKeys.Load()
	i := slices.IndexFunc(keys, func(k serviceKey) bool { return k.name == name })
	if i < 0 {
		return KeyInfo{}, false
	}
	return keys[i].info(), true
}
