package tokens

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// What is signed in a way of our own is what golang-jwt signs, also by many at once and after
// longer texts.
func TestOwnMethodsSignAsTheLibrary(t *testing.T) {
	t.Parallel()
	secret := bytes.Repeat([]byte{7}, 32)
	private := ed25519.NewKeyFromSeed(secret)
	for name, m := range map[string]struct {
		own, library             jwt.SigningMethod
		with, libraryWith, check any
	}{
		"HS256": {refreshMethod, jwt.SigningMethodHS256, prepareSecret(secret), secret, secret},
		"EdDSA": {plainEd25519{jwt.SigningMethodEdDSA}, jwt.SigningMethodEdDSA, private, private, private.Public()},
	} {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for _, text := range []string{strings.Repeat("x", 4000-i), "", "a.b", strings.Repeat("y", i)} {
					got, err := m.own.Sign(text, m.with)
					want, _ := m.library.Sign(text, m.libraryWith)
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%s of %.10q: %x, want %x (%v)", name, text, got, want, err)
					}
					if err := m.library.Verify(text, got, m.check); err != nil {
						t.Errorf("%s: the library refuses it: %v", name, err)
					}
				}
			})
		}
		all.Wait()
		if _, err := m.own.Sign("a", "another key"); !errors.Is(err, jwt.ErrInvalidKeyType) {
			t.Errorf("%s: signed with another kind of key: %v", name, err)
		}
	}

	prepared := prepareSecret(secret)
	mac, err := refreshMethod.Sign("a.b", prepared)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(mac)
	other[31] ^= 1
	for name, c := range map[string]struct {
		text string
		mac  []byte
		key  any
		want error
	}{
		"its own":       {"a.b", mac, prepared, nil},
		"another text":  {"a.c", mac, prepared, jwt.ErrSignatureInvalid},
		"another MAC":   {"a.b", other, prepared, jwt.ErrSignatureInvalid},
		"a part of it":  {"a.b", mac[:31], prepared, jwt.ErrSignatureInvalid},
		"none":          {"a.b", nil, prepared, jwt.ErrSignatureInvalid},
		"another key":   {"a.b", mac, prepareSecret(other), jwt.ErrSignatureInvalid},
		"a bare secret": {"a.b", mac, secret, jwt.ErrInvalidKeyType},
	} {
		if err := refreshMethod.Verify(c.text, c.mac, c.key); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
