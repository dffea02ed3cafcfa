package sessionstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/canonical"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// maxAuthTimeAhead is how far a caller's clock may be ahead of the database's.
const maxAuthTimeAhead = time.Minute

// claimsOf checks what a session's access tokens should say in addition to our claims: its own
// claims, how its user authenticated, who acts for them, and its cookie. It returns the
// canonical form that is stored in the pair's row.
func claimsOf(params CreateParams, now time.Time) (string, error) {
	own, err := ownClaims(params.Claims)
	if err != nil {
		return "", err
	}
	if a := params.Authentication; a != nil && a.AuthTime.After(now.Add(maxAuthTimeAhead)) {
		return "", argumentError("auth_time", "in the future: it may be up to %v ahead of the database's clock, which shows %s", maxAuthTimeAhead, now.UTC().Format(time.RFC3339))
	}
	form, err := tokens.JoinClaims(tokens.Context{Authentication: params.Authentication, Actor: params.Actor, Cookie: params.Cookie}, own)
	return form, claimsError(err)
}

// ownClaims checks a session's own claims, and returns their canonical form.
func ownClaims(claims []byte) (string, error) {
	if len(claims) == 0 {
		return "", nil
	}
	form, err := tokens.CustomClaims(claims)
	if e, ok := errors.AsType[*tokens.CustomError](err); ok {
		return "", &ArgumentError{Field: "claims", Member: e.Pointer, Problem: e.Problem}
	}
	return form, err
}

// claimsFor asks the program for the claims of a session, and returns them as the pair's
// row stores them, with the context.
func (s *core) claimsFor(ctx context.Context, params CreateParams) (string, error) {
	given, err := s.cfg.ClaimsFor(ctx, params)
	if err != nil {
		return "", err
	}
	params.Claims = given
	claims, err := claimsOf(params, s.clock.now())
	if err != nil {
		return "", fmt.Errorf("sessionstore: what ClaimsFor returned cannot be used: %v", err) //nolint:errorlint // not the caller's argument
	}
	return claims, nil
}

// claimsError names the argument that a [tokens.CustomError] of joined claims is about.
func claimsError(err error) error {
	e, ok := errors.AsType[*tokens.CustomError](err)
	if !ok {
		return err
	}
	if e.Pointer == "" {
		return &ArgumentError{Field: "claims", Problem: e.Problem}
	}
	field, member, _ := strings.Cut(e.Pointer[1:], "/")
	if member != "" {
		member = "/" + member
	}
	return &ArgumentError{Field: field, Member: member, Problem: e.Problem}
}

// readClaims notes the claims in a pair's row.
func (s *Session) readClaims(form string) error {
	context, own, err := tokens.SplitClaims(form)
	if err != nil {
		return sessionerr.Unavailable("read a session's claims", err)
	}
	s.Context = context
	if own != "" {
		s.Claims = []byte(own)
	}
	return nil
}

// askedScope is the part of the requested scope that must have been granted: OpenID
// Connect clients request the other two from every service.
func askedScope(scope string) []string {
	if scope == "" {
		return nil
	}
	return slices.DeleteFunc(strings.Split(scope, " "), func(word string) bool { return word == "openid" || word == "offline_access" })
}

// hasScope reports whether the claims' scope covers everything requested.
func hasScope(claims string, asked []string) bool {
	if len(asked) == 0 {
		return true
	}
	has := strings.Fields(tokens.Claims{Custom: claims}.Scope())
	return !slices.ContainsFunc(asked, func(word string) bool { return !slices.Contains(has, word) })
}

// claimsSum is the checksum of claims in canonical form.
func claimsSum(form string) string {
	return canonical.Sum([]byte(cmp.Or(form, "{}")))
}
