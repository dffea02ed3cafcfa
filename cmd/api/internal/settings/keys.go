package settings

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/secretfile"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const (
	serviceKeysForm = "name:secret,name:secret:right+right with different names and secrets of 32 characters or more"
	// MinServiceSecret is the minimum length of a backend's secret.
	MinServiceSecret = 32

	// bareServiceKey names a key that a file holds without a name.
	bareServiceKey = "default"
)

var (
	serviceKeyName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

	// RFC 6750 §2.1: what can be sent after "Bearer".
	serviceKeySecret = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)
)

// ServiceKeys are the keys of the backends that may use the internal listener.
type ServiceKeys []httpapi.ServiceKey

// Names are the names of the keys.
func (k ServiceKeys) Names() []string {
	names := make([]string, len(k))
	for i, key := range k {
		names[i] = key.Name
	}
	return names
}

// SameKey reports whether two keys are one, with the same rights.
func SameKey(a, b httpapi.ServiceKey) bool {
	return a.Name == b.Name && a.Secret == b.Secret && slices.Equal(a.Rights, b.Rights)
}

// Decode reads the keys. It never reveals one.
func (k *ServiceKeys) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		keys, err := parseServiceKeys(text)
		if err != nil {
			return "not usable (" + err.Error() + ")", serviceKeysForm
		}
		*k = keys
		return "", ""
	})
}

// ReadServiceKeys reads a file of keys, where a key may also have no name.
func ReadServiceKeys(file string) (ServiceKeys, error) {
	content, err := secretfile.Read(file)
	if err != nil {
		return nil, fmt.Errorf("read the service keys: %w", err)
	}
	keys, err := parseServiceKeys(namedKeys(string(content)))
	if err != nil {
		return nil, fmt.Errorf("%s holds no usable service keys (%w); it must hold %s", file, err, serviceKeysForm)
	}
	return keys, nil
}

// namedKeys puts the default name before an entry that has none.
func namedKeys(text string) string {
	entries := splitKeys(text)
	for i, entry := range entries {
		if !strings.Contains(entry, ":") {
			entries[i] = bareServiceKey + ":" + entry
		}
	}
	return strings.Join(entries, ",")
}

func parseServiceKeys(text string) (ServiceKeys, error) {
	var keys ServiceKeys
	names, secrets := map[string]bool{}, map[string]bool{}
	for i, entry := range splitKeys(text) {
		name, rest, found := strings.Cut(entry, ":")
		secret, words, restricted := strings.Cut(rest, ":")
		rights, wrong := parseRights(words)
		switch {
		case !found:
			return nil, fmt.Errorf("key %d has no name", i+1)
		case !serviceKeyName.MatchString(name):
			return nil, fmt.Errorf("the name of key %d is not made of 1 to 64 letters, digits, dots, hyphens and underscores", i+1)
		case names[name]:
			return nil, fmt.Errorf("the name %q occurs twice", name)
		case areRights(secret): // what looks like the name may be the secret: it is not shown
			return nil, fmt.Errorf("key %d has rights where its secret should be", i+1)
		case len(secret) < MinServiceSecret:
			return nil, fmt.Errorf("the secret of %q has %d characters", name, len(secret))
		case !serviceKeySecret.MatchString(secret):
			return nil, fmt.Errorf("the secret of %q has characters other than letters, digits and ._~+/-", name)
		case secrets[secret]:
			return nil, fmt.Errorf("the secret of %q is another key's too", name)
		case restricted && wrong != nil:
			return nil, fmt.Errorf("the rights of %q: %w", name, wrong)
		}
		names[name], secrets[secret] = true, true
		keys = append(keys, httpapi.ServiceKey{Name: name, Secret: tokens.Secret(secret), Rights: rights})
	}
	if len(keys) == 0 {
		return nil, errors.New("there is none")
	}
	return keys, nil
}

// parseRights reads what follows a secret. If nothing follows, the rights are nil, which means all.
func parseRights(text string) ([]httpapi.Right, error) {
	var rights []httpapi.Right
	for word := range strings.SplitSeq(text, "+") {
		right := httpapi.Right(word)
		if !slices.Contains(httpapi.Rights(), right) {
			return nil, fmt.Errorf("%q is not one of %s", word, rightNames())
		}
		rights = append(rights, right)
	}
	return rights, nil
}

func areRights(text string) bool {
	_, err := parseRights(text)
	return err == nil
}

func rightNames() string {
	var names []string
	for _, right := range httpapi.Rights() {
		names = append(names, string(right))
	}
	return strings.Join(names, ", ")
}

func splitKeys(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// ReadSigningKeys returns the JWK set in a file, and its ring.
func ReadSigningKeys(file string) (tokens.Secret, *tokens.KeyRing, error) {
	content, err := secretfile.Read(file)
	if err != nil {
		return "", nil, fmt.Errorf("read the signing keys: %w", err)
	}
	ring, err := tokens.ParseKeyRing(content)
	if err != nil {
		return "", nil, fmt.Errorf("signing keys in %s: %w", file, err)
	}
	return tokens.Secret(content), ring, nil
}

// OtherAlgorithm says that the keys in a file sign with another algorithm than the expected one, which then has no
// effect. It is empty if they do not, or if none was specified.
func OtherAlgorithm(ring *tokens.KeyRing, wanted, file string) string {
	for _, key := range ring.Keys() {
		if key.Signs && key.Algorithm != wanted && wanted != "" {
			return fmt.Sprintf("LATCHKEY_KEY_ALGORITHM=%s has no effect: the signing key in %s is for %s; `api keys generate --help` explains how to replace it",
				wanted, file, key.Algorithm)
		}
	}
	return ""
}

// Named says which setting fails to open a key.
func Named(err error) error {
	if errors.Is(err, tokens.ErrSealed) {
		return fmt.Errorf("LATCHKEY_KEY_ENCRYPTION_KEY is not the one that the signing keys in the database were sealed with: %w", err)
	}
	return err
}
