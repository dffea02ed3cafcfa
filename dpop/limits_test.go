package dpop_test

import (
	"encoding/base64"
	"errors"
	"maps"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

// Each limit of the settings, on both sides of it.
func TestConfigLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg  dpop.Config
		good bool
	}{
		"the longest window":    {dpop.Config{Window: 10 * time.Minute}, true},
		"a longer window":       {dpop.Config{Window: 10*time.Minute + 1}, false},
		"a negative window":     {dpop.Config{Window: -1}, false},
		"the longest leeway":    {dpop.Config{Leeway: time.Minute}, true},
		"a longer leeway":       {dpop.Config{Leeway: time.Minute + 1}, false},
		"a negative leeway":     {dpop.Config{Leeway: -1}, false},
		"one proof":             {dpop.Config{Remember: 1}, true},
		"less than none":        {dpop.Config{Remember: -1}, false},
		"defaults all the same": {dpop.Config{}, true},
	} {
		test.cfg.BaseURL = base
		if _, err := dpop.New(test.cfg); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A secret of nonces has 32 bytes or more, each of them.
func TestNonceSecrets(t *testing.T) {
	t.Parallel()
	long, short := make([]byte, 32), make([]byte, 31)
	for name, test := range map[string]struct {
		secrets func() [][]byte
		good    bool
	}{
		"one":              {func() [][]byte { return [][]byte{long} }, true},
		"two":              {func() [][]byte { return [][]byte{long, long} }, true},
		"the second short": {func() [][]byte { return [][]byte{long, short} }, false},
		"none":             {func() [][]byte { return nil }, false},
		"nobody to ask":    {nil, false},
	} {
		if _, err := dpop.NewNonces(test.secrets); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The nonce of a replica whose clock is ahead is valid, but not that of any later
// minute.
func TestNonceOfAReplicaThatIsAhead(t *testing.T) {
	t.Parallel()
	nonces, err := dpop.NewNonces(func() [][]byte { return [][]byte{make([]byte, 32)} })
	if err != nil {
		t.Fatal(err)
	}
	c, _ := clocked(t, func(c *dpop.Config) { c.Nonces = nonces })
	for ahead, answer := range map[time.Duration]error{0: nil, time.Minute: nil, 2 * time.Minute: dpop.ErrUseNonce} {
		replica, clock := clocked(t, func(c *dpop.Config) { c.Nonces = nonces })
		*clock = now.Add(ahead)
		h := http.Header{}
		replica.SetNonce(h)
		s := good(t, ed(t), jose.EdDSA)
		s.claims["nonce"] = h.Get(dpop.NonceHeader)
		if _, err := c.Check(s.sign(t), want); !errors.Is(err, answer) || answer == nil && err != nil {
			t.Errorf("%v ahead: %v, want %v", ahead, err, answer)
		}
	}
}

// Claims at their limits: exp and nbf say nothing against a proof that keeps to them.
func TestClaimsAtTheirLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claims map[string]any
		good   bool
	}{
		"good for a minute":           {map[string]any{"exp": now.Unix() + 60, "nbf": now.Unix() - 1}, true},
		"expired within the leeway":   {map[string]any{"exp": now.Unix() - 4}, true},
		"expired at its end":          {map[string]any{"exp": now.Unix() - 5}, false},
		"not before, at the leeway":   {map[string]any{"nbf": now.Unix() + 5}, true},
		"not before, past the leeway": {map[string]any{"nbf": now.Unix() + 6}, false},
		"the longest id":              {map[string]any{"jti": strings.Repeat("x", 256)}, true},
		"a longer id":                 {map[string]any{"jti": strings.Repeat("x", 257)}, false},
	} {
		s := good(t, ed(t), jose.EdDSA)
		maps.Copy(s.claims, test.claims)
		c, _ := clocked(t)
		if _, err := c.Check(s.sign(t), want); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A proof may have this length, and not a byte more.
func TestLongestProof(t *testing.T) {
	t.Parallel()
	key := ed(t)
	ofLength := func(n int) string {
		s := good(t, key, jose.EdDSA)
		about := (n - len(s.sign(t))) * 3 / 4 // base64 makes four bytes of three
		for pad := range 30 {
			s.header["pad"], s.claims["pad"] = strings.Repeat("x", pad%3), strings.Repeat("x", about-pad/3*2)
			if text := s.sign(t); len(text) == n {
				return text
			}
		}
		t.Fatalf("no proof has %d bytes", n)
		return ""
	}
	for n, good := range map[int]bool{dpop.MaxProofBytes: true, dpop.MaxProofBytes + 1: false} {
		if _, err := checker(t).Check(ofLength(n), want); (err == nil) != good {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// Keys of RSA have 2048 to 4096 bits. The signature is looked at only of those.
func TestSizesOfRSAKeys(t *testing.T) {
	t.Parallel()
	for bits, good := range map[int]bool{2047: false, 2048: true, 4096: true, 4097: false} {
		modulus := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		modulus.SetBit(modulus, 0, 1)
		s := spec{ed(t), jose.RS256, map[string]any{"typ": "dpop+jwt", "alg": jose.RS256}, map[string]any{}}
		s.header["jwk"] = map[string]string{"kty": "RSA", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(modulus.Bytes())}
		_, err := checker(t).Check(s.sign(t), want)
		if !errors.Is(err, dpop.ErrInvalid) || strings.HasSuffix(err.Error(), ": signature") != good {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

// The key's type and the algorithm belong together, in both directions.
func TestKeyOfAnotherAlgorithm(t *testing.T) {
	t.Parallel()
	keys := map[jose.SignatureAlgorithm]any{jose.EdDSA: ed(t), jose.ES256: p256(t), jose.RS256: rsaKey(t, 2048)}
	for own, key := range keys {
		for _, said := range []jose.SignatureAlgorithm{jose.EdDSA, "Ed25519", jose.ES256, jose.RS256, jose.PS256} {
			s := good(t, key, own)
			s.header["alg"] = said
			_, err := checker(t).Check(s.sign(t), want)
			failed := "jwk" // before the signature is looked at
			if own == jose.RS256 && said == jose.PS256 {
				failed = "signature" // the same keys do for both
			}
			switch isOwn := said == own || said == "Ed25519" && own == jose.EdDSA; {
			case isOwn && err != nil:
				t.Errorf("%s: %v", own, err)
			case !isOwn && (!errors.Is(err, dpop.ErrInvalid) || !strings.HasSuffix(err.Error(), ": "+failed)):
				t.Errorf("%s as %s: %v", own, said, err)
			}
		}
	}
}

// Media types are compared without their case, and may have application/ before them.
func TestTypes(t *testing.T) {
	t.Parallel()
	for typ, isGood := range map[string]bool{
		"dpop+jwt": true, "DPoP+JWT": true, "application/dpop+jwt": true, "application/DPOP+jwt": true,
		"application/at+jwt": false, "text/dpop+jwt": false, "application/": false, "": false,
	} {
		s := good(t, ed(t), jose.EdDSA)
		s.header["typ"] = typ
		if _, err := checker(t).Check(s.sign(t), want); (err == nil) != isGood {
			t.Errorf("%q: %v", typ, err)
		}
	}
}

// The client's information from each error.
func TestErrorCodes(t *testing.T) {
	t.Parallel()
	for want, errs := range map[string][]error{
		dpop.CodeInvalidProof: {dpop.ErrInvalid, dpop.ErrReplayed},
		dpop.CodeUseNonce:     {dpop.ErrUseNonce},
		dpop.CodeInvalidToken: {dpop.ErrNotBound},
		"":                    {nil, dpop.ErrUnavailable, errors.Join(dpop.ErrUnavailable, dpop.ErrInvalid), errors.New("another")},
	} {
		for _, err := range errs {
			if got := dpop.ErrorCode(err); got != want {
				t.Errorf("%v: %q, want %q", err, got, want)
			}
		}
	}
}
