package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// Proofs of possession (RFC 9449). The URL of a request is always the issuer and
// its path: proxies change the rest, and a client may claim anything about it.

// maxProofLeeway is how far in the future a proof may lie, whatever the window is.
const maxProofLeeway = time.Minute

// newProofs returns the checker of proofs that clients send to the public
// listener, and the checker of those that resource servers pass on, which have
// their own nonces.
func (s *Server) newProofs() (own, foreign *dpop.Checker, err error) {
	cfg := dpop.Config{BaseURL: s.cfg.Issuer, Window: s.cfg.DPoPWindow, Leeway: min(s.cfg.DPoPWindow, maxProofLeeway), Now: s.store.Now}
	if foreign, err = dpop.New(cfg); err != nil {
		return nil, nil, err
	}
	// Even if nonces are not required, clients whose clocks are wrong can use them.
	cfg.NoncesForClocks = !s.cfg.DPoPNonce
	if cfg.Nonces, err = dpop.NewNonces(s.currentNonceSecrets); err != nil && s.cfg.DPoPNonce {
		return nil, nil, fmt.Errorf("httpapi: %w", err)
	}
	own, err = dpop.New(cfg)
	return own, foreign, err
}

func (s *Server) currentNonceSecrets() [][]byte {
	if secrets := s.nonceSecrets.Load(); secrets != nil {
		return *secrets
	}
	return nil
}

// setNonceSecrets derives the nonces from the keys, which all replicas share.
func (s *Server) setNonceSecrets(keys *tokens.KeyRing) {
	// It fails only for a key that cannot be encoded, and the ring has none.
	if secrets, err := keys.DerivedSecrets("dpop nonces"); err == nil && len(secrets) > 0 {
		s.nonceSecrets.Store(&secrets)
	}
}

// offerNonce gives a client that sends proofs the nonce for the next one (RFC
// 9449 §8.2), if it needs one.
func (s *Server) offerNonce(w http.ResponseWriter, r *http.Request, err error) {
	if s.cfg.DPoPNonce && len(r.Header.Values(dpop.Header)) > 0 || errors.Is(err, dpop.ErrUseNonce) {
		s.proofs.SetNonce(w.Header())
	}
}

// confirm requires a proof for a bound access token, and none for a bearer token.
func (s *Server) confirm(w http.ResponseWriter, r *http.Request, scheme, token string, claims tokens.Claims) error {
	err := s.proofs.Confirm(r, scheme, token, claims.KeyThumbprint)
	s.offerNonce(w, r, err)
	return refusedProof(err)
}

// provenKey returns the thumbprint of the key of which a token request proves
// possession, or an empty string without a proof. The proof is used up only if
// it could count for the token, so that only holders of a token fill the memory.
func (s *Server) provenKey(w http.ResponseWriter, r *http.Request, refreshToken string) (string, error) {
	proof, err := s.proofs.CheckRequest(r)
	s.offerNonce(w, r, err)
	if err != nil || proof == nil {
		return "", refusedProof(err)
	}
	claims, err := s.store.VerifyRefreshToken(refreshToken)
	isFit := err == nil && (claims.KeyThumbprint == "" || claims.KeyThumbprint == proof.Thumbprint)
	if isFit || s.store.TakesFromCompas(refreshToken) {
		if err := s.proofs.Spend(*proof); err != nil {
			return "", refusedProof(err)
		}
	}
	return proof.Thumbprint, nil
}

// refusedProof converts an error of package dpop to a problem.
func refusedProof(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, dpop.ErrUnavailable):
		return &problem{code: codeUnavailable, cause: err}
	case errors.Is(err, dpop.ErrUseNonce) && errors.Is(err, dpop.ErrClock):
		return &problem{code: codeUseNonce, reason: "clock", detail: sentence(err.Error())}
	case errors.Is(err, dpop.ErrUseNonce):
		return &problem{code: codeUseNonce, reason: "nonce"}
	case errors.Is(err, dpop.ErrClock):
		return &problem{code: codeInvalidProof, reason: "clock", detail: sentence(err.Error())}
	case errors.Is(err, dpop.ErrReplayed):
		return &problem{code: codeInvalidProof, reason: "replayed"}
	case errors.Is(err, dpop.ErrInvalid):
		return &problem{code: codeInvalidProof, reason: "proof"}
	case errors.Is(err, dpop.ErrNotBound):
		return &problem{code: codeInvalidToken, reason: "not_bound", wantsProof: true}
	}
	return err
}

// confirmation is the cnf of RFC 7800 §3.1 and RFC 9449 §6.2.
type confirmation struct {
	Thumbprint string `json:"jkt"`
}

func confirmationOf(thumbprint string) *confirmation {
	if thumbprint == "" {
		return nil
	}
	return &confirmation{thumbprint}
}

// tokenType is RFC 9449 §5, or RFC 6750 §4.
func tokenType(thumbprint string) string {
	if thumbprint == "" {
		return "Bearer"
	}
	return dpop.Scheme
}

// The form fields of an introspection in which a resource server passes on its own
// client's proof, to have it checked here.
var proofFields = []string{"dpop", "dpop_htm", "dpop_htu"}

// isProven reports whether the proof that came with a token at a resource server
// is valid for the token. Without one, the resource server must check it.
func (s *Server) isProven(r *http.Request, fields formFields, token string, claims tokens.Claims) (bool, error) {
	proof, err := s.foreignProofs.Check(fields.get("dpop"), dpop.Request{
		Method: fields.get("dpop_htm"), URL: fields.get("dpop_htu"), AccessToken: token,
	})
	if err == nil && claims.KeyThumbprint != proof.Thumbprint {
		err = dpop.ErrNotBound // as no bearer token is (RFC 9449 §7.1)
	}
	if err == nil {
		err = s.foreignProofs.Spend(proof)
	}
	if code := dpop.ErrorCode(err); code != "" {
		infoOf(r).outcome = code // only for the log: the caller must not learn why a token is not active
		return false, nil
	}
	return err == nil, refusedProof(err)
}

// checkProofFields requires either all of them or none.
func checkProofFields(fields formFields) error {
	for _, name := range proofFields {
		if (fields.get(name) == "") != (fields.get("dpop") == "") {
			return invalidParameter(name, "dpop, dpop_htm and dpop_htu belong together.")
		}
	}
	return nil
}
