package tokens_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/tokens"
)

func newSealer(t *testing.T, fills ...byte) *tokens.Sealer {
	t.Helper()
	var keys [][]byte
	for _, fill := range fills {
		keys = append(keys, bytes.Repeat([]byte{fill}, tokens.SealingKeyBytes))
	}
	s, err := tokens.NewSealer(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealer(t *testing.T) {
	t.Parallel()
	for _, algorithm := range tokens.AlgorithmNames() {
		jwk, id, err := tokens.GenerateKey(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := newSealer(t, 1).Seal(jwk)
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			sealer  *tokens.Sealer
			current bool
		}{"its key": {newSealer(t, 1), true}, "first of two": {newSealer(t, 1, 2), true}, "second of two": {newSealer(t, 2, 1), false}} {
			got, current, err := c.sealer.Open(sealed, id)
			if err != nil || got != jwk || current != c.current {
				t.Errorf("%s, %s: current is %v, %v", algorithm, name, current, err)
			}
		}
		for name, open := range map[string]func() (tokens.Secret, bool, error){
			"another key":  func() (tokens.Secret, bool, error) { return newSealer(t, 2).Open(sealed, id) },
			"another kid":  func() (tokens.Secret, bool, error) { return newSealer(t, 1).Open(sealed, id+"x") },
			"cut":          func() (tokens.Secret, bool, error) { return newSealer(t, 1).Open(sealed[:len(sealed)-4], id) },
			"another text": func() (tokens.Secret, bool, error) { return newSealer(t, 1).Open(swapCase(sealed), id) },
			"nothing":      func() (tokens.Secret, bool, error) { return newSealer(t, 1).Open("", id) },
			"not sealed":   func() (tokens.Secret, bool, error) { return newSealer(t, 1).Open(string(jwk), id) },
		} {
			if got, current, err := open(); !errors.Is(err, tokens.ErrSealed) || got != "" || current {
				t.Errorf("%s, %s: %v, %v", algorithm, name, current, err)
			}
		}
	}
}

// swapCase changes the ciphertext's first letter.
func swapCase(jwe string) string {
	parts := strings.Split(jwe, ".")
	first := "A"
	if parts[3][0] == 'A' {
		first = "B"
	}
	parts[3] = first + parts[3][1:]
	return strings.Join(parts, ".")
}

func TestSealerRefusesWeakKeys(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][][]byte{"none": nil, "short": {make([]byte, 16)}, "long": {make([]byte, 32), make([]byte, 33)}} {
		if _, err := tokens.NewSealer(keys...); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
