package httpapi

import (
	"encoding/hex"
	"slices"
)

// KeyInfo describes a service key that is currently accepted.
type KeyInfo struct {
	// Name identifies the key.
	Name string
	// Rights are what the key allows.
	Rights []Right
	// Fingerprint changes with the secret, but does not reveal it.
	Fingerprint string
}

// Has reports whether the key has a right.
func (k KeyInfo) Has(right Right) bool { return slices.Contains(k.Rights, right) }

// fingerprintBytes are enough to distinguish secrets.
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
