package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// nonceSlot is how long one nonce is handed out. It is valid for one more slot,
// and before its own: the clocks of replicas differ.
const nonceSlot = time.Minute

// nonceLife is how long a nonce may be valid, even from a replica whose clock is
// ahead.
const nonceLife = 3 * nonceSlot

// Nonces make the nonces of RFC 9449 §8 and recognize them: each is a MAC of the
// present minute, so replicas with the same secret need not exchange them.
// A nonce is valid for one to two minutes.
type Nonces struct {
	secrets func() [][]byte
}

// NewNonces returns nonces on secrets of 32 bytes or more, which all replicas
// share. The first makes nonces, and all are accepted, so that a secret can be
// replaced. The function is called for each nonce, and must return at least
// one.
func NewNonces(secrets func() [][]byte) (*Nonces, error) {
	if secrets == nil || len(secrets()) == 0 {
		return nil, errors.New("dpop: nonces need a secret")
	}
	for _, secret := range secrets() {
		if len(secret) < sha256.Size {
			return nil, errors.New("dpop: the secret of nonces must have 32 bytes or more")
		}
	}
	return &Nonces{secrets}, nil
}

// next returns the nonce to hand out.
func (n *Nonces) next(now time.Time) string { return nonceOf(n.secrets()[0], slotOf(now)) }

func (n *Nonces) valid(nonce string, now time.Time) bool {
	slot := slotOf(now)
	for _, secret := range n.secrets() {
		for _, s := range []int64{slot, slot - 1, slot + 1} {
			if hmac.Equal([]byte(nonceOf(secret, s)), []byte(nonce)) {
				return true
			}
		}
	}
	return false
}

func slotOf(now time.Time) int64 { return now.Unix() / int64(nonceSlot/time.Second) }

func nonceOf(secret []byte, slot int64) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("dpop nonce"))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(slot))) //nolint:gosec // G115: any 64 bits will do
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}
