package dpop_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/latchkey-sessions/latchkey/dpop"
)

func jsonOf(v any) ([]byte, error) { return json.Marshal(v) }

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]dpop.Config{
		"no URL": {}, "relative": {BaseURL: "/x"}, "long window": {BaseURL: base, Window: time.Hour},
		"negative window": {BaseURL: base, Window: -1}, "leeway": {BaseURL: base, Leeway: time.Hour}, "remember": {BaseURL: base, Remember: -1},
	} {
		if _, err := dpop.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// RFC 9449 §11.1: of many requests with one proof, one succeeds, for as long as the
// proof is valid.
func TestReplay(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	c := checker(t, func(c *dpop.Config) { c.Now = func() time.Time { return now.Add(time.Duration(clock.Load())) } })
	key := ed(t)
	s := good(t, key, jose.EdDSA)
	s.claims["iat"] = now.Unix() + 5 // good for as long as can be
	first := s.sign(t)
	var accepted atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			proof, err := c.Check(first, want)
			if err != nil {
				t.Error(err)
			} else if err := c.Spend(proof); err == nil {
				accepted.Add(1)
			} else if !errors.Is(err, dpop.ErrReplayed) || !errors.Is(err, dpop.ErrInvalid) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := accepted.Load(); n != 1 {
		t.Errorf("%d got through", n)
	}
	for at := time.Duration(0); at <= 65*time.Second; at += 500 * time.Millisecond {
		clock.Store(int64(at))
		proof, err := c.Check(first, want)
		if err != nil {
			t.Fatalf("after %v: %v", at, err)
		}
		if err := c.Spend(proof); !errors.Is(err, dpop.ErrReplayed) {
			t.Fatalf("after %v: %v", at, err)
		}
		other := good(t, key, jose.EdDSA) // others come in between
		other.claims["iat"] = now.Add(at).Unix()
		if proof, err = c.Check(other.sign(t), want); err != nil || c.Spend(proof) != nil {
			t.Fatalf("another proof after %v: %v", at, err)
		}
	}
	// The same jti of another key is another proof; signed again it is the same.
	clock.Store(0)
	s.key, s.header["jwk"] = ed(t), nil
	s.header["jwk"] = jose.JSONWebKey{Key: public(s.key)}
	proof, err := c.Check(s.sign(t), want)
	if err != nil || c.Spend(proof) != nil {
		t.Errorf("another key: %v", err)
	}
}

// A full memory accepts no more proofs, rather than one twice; later there is room
// again.
func TestFullMemory(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	c := checker(t, func(c *dpop.Config) {
		c.Remember, c.Now = 2, func() time.Time { return now.Add(time.Duration(clock.Load())) }
	})
	key := ed(t)
	spend := func() (string, error) {
		s := good(t, key, jose.EdDSA)
		s.claims["iat"] = now.Unix() + int64(time.Duration(clock.Load())/time.Second)
		text := s.sign(t)
		proof, err := c.Check(text, want)
		if err != nil {
			t.Fatal(err)
		}
		return text, c.Spend(proof)
	}
	first, err := spend()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spend(); err != nil {
		t.Fatal(err)
	}
	if _, err := spend(); !errors.Is(err, dpop.ErrUnavailable) || errors.Is(err, dpop.ErrInvalid) || dpop.ErrorCode(err) != "" {
		t.Errorf("the third: %v", err)
	}
	if proof, err := c.Check(first, want); err != nil || !errors.Is(c.Spend(proof), dpop.ErrReplayed) {
		t.Errorf("the first again: %v", err)
	}
	clock.Store(int64(3 * time.Minute))
	if _, err := spend(); err != nil {
		t.Errorf("later: %v", err)
	}
}

// RFC 9449 §8: a nonce of ours, of this minute or an adjacent one.
func TestNonces(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	at := func() time.Time { return now.Add(time.Duration(clock.Load())) }
	withSecrets := func(secrets ...string) *dpop.Checker {
		nonces, err := dpop.NewNonces(func() [][]byte {
			var all [][]byte
			for _, s := range secrets {
				all = append(all, []byte(s))
			}
			return all
		})
		if err != nil {
			t.Fatal(err)
		}
		return checker(t, func(c *dpop.Config) { c.Nonces, c.Now = nonces, at })
	}
	old, recent := strings.Repeat("o", 32), strings.Repeat("n", 32)
	c, replica, rotated, stranger := withSecrets(old), withSecrets(old), withSecrets(recent, old), withSecrets(recent)
	nonceOf := func(c *dpop.Checker) string {
		h := http.Header{}
		c.SetNonce(h)
		return h.Get("DPoP-Nonce")
	}
	key := ed(t)
	check := func(c *dpop.Checker, nonce any) error {
		s := good(t, key, jose.EdDSA)
		s.claims["iat"] = at().Unix()
		if nonce != nil {
			s.claims["nonce"] = nonce
		}
		_, err := c.Check(s.sign(t), want)
		return err
	}
	nonce := nonceOf(c)
	if nonce == "" || nonceOf(replica) != nonce || nonceOf(stranger) == nonce {
		t.Errorf("nonce %q", nonce)
	}
	for name, test := range map[string]struct {
		checker *dpop.Checker
		nonce   any
		good    bool
	}{
		"own": {c, nonce, true}, "a replica's": {replica, nonce, true}, "an earlier key's": {rotated, nonce, true},
		"none": {c, nil, false}, "empty": {c, "", false}, "invented": {c, "x", false}, "another service's": {stranger, nonce, false},
	} {
		err := check(test.checker, test.nonce)
		if test.good && err != nil || !test.good && !errors.Is(err, dpop.ErrUseNonce) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if check(c, 1) == nil || errors.Is(check(c, 1), dpop.ErrUseNonce) {
		t.Error("a nonce that is not a string")
	}
	clock.Store(int64(time.Minute))
	if err := check(c, nonce); err != nil {
		t.Errorf("after a minute: %v", err)
	}
	clock.Store(int64(2 * time.Minute))
	if err := check(c, nonce); !errors.Is(err, dpop.ErrUseNonce) {
		t.Errorf("after two minutes: %v", err)
	}
	h := http.Header{}
	checker(t).SetNonce(h)
	if len(h) > 0 {
		t.Error("a nonce that is not required")
	}
	if _, err := dpop.NewNonces(func() [][]byte { return [][]byte{[]byte("short")} }); err == nil {
		t.Error("a short secret was accepted")
	}
}

// RFC 9449 §4.3, check 1.
func TestHeader(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		values []string
		want   string
		bad    bool
	}{
		"none": {nil, "", false}, "one": {[]string{"a"}, "a", false}, "two": {[]string{"a", "a"}, "", true}, "empty": {[]string{""}, "", true},
	} {
		got, err := dpop.FromHeader(http.Header{"Dpop": test.values})
		if got != test.want || errors.Is(err, dpop.ErrInvalid) != test.bad {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// RFC 9449 §7.1 and §7.2: how a token was presented against what it is bound to.
func TestConfirm(t *testing.T) {
	t.Parallel()
	key := ed(t)
	mine := thumbprint(t, key)
	for name, test := range map[string]struct {
		nothing            bool // no checker
		scheme, thumbprint string
		proofs             int
		want               error
		code               string
	}{
		"bearer token":                 {false, "Bearer", "", 0, nil, ""},
		"bearer token with a proof":    {false, "Bearer", "", 1, nil, ""},
		"bound":                        {false, "DPoP", mine, 1, nil, ""},
		"bound, in another spelling":   {false, "dpop", mine, 1, nil, ""},
		"bound, as bearer":             {false, "Bearer", mine, 0, dpop.ErrNotBound, "invalid_token"},
		"bound, as bearer with proof":  {false, "Bearer", mine, 1, dpop.ErrNotBound, "invalid_token"},
		"bound, without a proof":       {false, "DPoP", mine, 0, dpop.ErrInvalid, "invalid_dpop_proof"},
		"bound, with two proofs":       {false, "DPoP", mine, 2, dpop.ErrInvalid, "invalid_dpop_proof"},
		"bound to another key":         {false, "DPoP", thumbprint(t, ed(t)), 1, dpop.ErrNotBound, "invalid_token"},
		"bearer token, as bound":       {false, "DPoP", "", 1, dpop.ErrNotBound, "invalid_token"},
		"bearer token, without proof":  {false, "DPoP", "", 0, dpop.ErrNotBound, "invalid_token"},
		"no checker, bearer token":     {true, "Bearer", "", 0, nil, ""},
		"no checker, bound":            {true, "DPoP", mine, 1, dpop.ErrNotBound, "invalid_token"},
		"no checker, bound, as bearer": {true, "Bearer", mine, 0, dpop.ErrNotBound, "invalid_token"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://inside:8080/cart?a=b", http.NoBody)
		for range test.proofs {
			r.Header.Add("DPoP", good(t, key, jose.EdDSA).sign(t))
		}
		c := checker(t)
		if test.nothing {
			c = nil
		}
		err := c.Confirm(r, test.scheme, token, test.thumbprint)
		if !errors.Is(err, test.want) || dpop.ErrorCode(err) != test.code {
			t.Errorf("%s: %v (%s)", name, err, dpop.ErrorCode(err))
		}
		if test.want == nil && test.thumbprint != "" {
			if err := c.Confirm(r, test.scheme, token, test.thumbprint); !errors.Is(err, dpop.ErrReplayed) {
				t.Errorf("%s, again: %v", name, err)
			}
		}
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		`DPoP algs="EdDSA Ed25519 ES256 RS256 PS256"`:                                    dpop.Challenge("", ""),
		`DPoP realm="x", error="use_dpop_nonce", algs="EdDSA Ed25519 ES256 RS256 PS256"`: dpop.Challenge("x", dpop.CodeUseNonce),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
