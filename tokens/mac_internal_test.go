package tokens

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// A prepared key signs what golang-jwt's own HS256 does, any number of texts at once, and accepts nothing else.
func TestPreparedHS256IsTheLibrarys(t *testing.T) {
	t.Parallel()
	for _, secret := range [][]byte{bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 200)} { // shorter and longer than a block
		key, other := newMACKey(secret), newMACKey(append([]byte{3}, secret...))
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for size := range 300 {
					text := strings.Repeat(string(rune('a'+worker)), size)
					want, err := jwt.SigningMethodHS256.Sign(text, secret)
					if err != nil {
						t.Error(err)
					}
					got, err := hs256.Sign(text, key)
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("%d bytes are signed as %x, want %x (%v)", size, got, want, err)
					}
					if err := hs256.Verify(text, got, key); err != nil {
						t.Errorf("%d bytes: %v", size, err)
					}
					got[size%len(got)]++
					for name, err := range map[string]error{
						"another signature": hs256.Verify(text, got, key),
						"a shorter one":     hs256.Verify(text, want[:31], key),
						"none":              hs256.Verify(text, nil, key),
						"another text":      hs256.Verify(text+"a", want, key),
						"another key":       hs256.Verify(text, want, other),
					} {
						if !errors.Is(err, jwt.ErrSignatureInvalid) {
							t.Errorf("%s, %d bytes: %v", name, size, err)
						}
					}
				}
			})
		}
		all.Wait()
	}
}

func TestPreparedHS256TakesNoOtherKey(t *testing.T) {
	t.Parallel()
	for _, key := range []any{nil, []byte("a secret that was not prepared"), "text"} {
		if _, err := hs256.Sign("text", key); !errors.Is(err, jwt.ErrInvalidKeyType) {
			t.Errorf("sign with a %T: %v", key, err)
		}
		if err := hs256.Verify("text", nil, key); !errors.Is(err, jwt.ErrInvalidKeyType) {
			t.Errorf("verify with a %T: %v", key, err)
		}
	}
}
