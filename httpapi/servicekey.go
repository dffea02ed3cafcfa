package httpapi

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const minServiceKeyBytes = 32

// ServiceKey lets a backend or an operator use the internal listener.
type ServiceKey struct {
	// Name identifies the key in the log.
	Name string
	// Secret is what callers present: 32 visible ASCII characters or more, without a comma.
	Secret tokens.Secret
	// Rights are what the key allows: see [Rights]. Nil means everything but [RightOperator].
	Rights []Right
}

func checkServiceKeys(keys []ServiceKey) error {
	if len(keys) == 0 {
		return errors.New("httpapi: ServiceKeys is empty, the internal listener needs at least one")
	}
	names, secrets := make(map[string]bool), make(map[[sha256.Size]byte]bool)
	for _, k := range keys {
		digest := sha256.Sum256([]byte(k.Secret))
		switch {
		case k.Name == "":
			return errors.New("httpapi: a service key has no name")
		case len(k.Secret) < minServiceKeyBytes:
			return fmt.Errorf("httpapi: the service key %q has %d bytes, it must have %d or more", k.Name, len(k.Secret), minServiceKeyBytes)
		case strings.ContainsFunc(string(k.Secret), func(c rune) bool { return c <= ' ' || c > '~' || c == ',' }):
			return fmt.Errorf("httpapi: the service key %q has a character that an Authorization header cannot have", k.Name)
		case names[k.Name]:
			return fmt.Errorf("httpapi: two service keys are named %q", k.Name)
		case secrets[digest]:
			return fmt.Errorf("httpapi: the service key %q has the secret of another one", k.Name)
		case k.Rights != nil && len(k.Rights) == 0:
			return fmt.Errorf("httpapi: the service key %q has no right", k.Name)
		}
		for _, right := range k.Rights {
			if !slices.Contains(Rights(), right) {
				return fmt.Errorf("httpapi: the service key %q has the right %q, which does not exist", k.Name, right)
			}
		}
		names[k.Name], secrets[digest] = true, true
	}
	return nil
}

type serviceKey struct {
	name   string
	digest [sha256.Size]byte
	rights []Right
}

func newServiceKey(k ServiceKey) serviceKey {
	rights := slices.Clone(k.Rights)
	if k.Rights == nil {
		rights = unnamedRights()
	}
	return serviceKey{k.Name, sha256.Sum256([]byte(k.Secret)), rights}
}

// note records whose request it is.
func (k serviceKey) note(r *http.Request) {
	info := infoOf(r)
	info.serviceKey, info.rights, info.keyDigest = k.name, k.rights, k.digest
}

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
