package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// ownClaims checks claims that a session is to have, and returns their one form.
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

// claimsFor asks the program for the claims of a session, and returns their one form.
func (s *Store) claimsFor(ctx context.Context, params CreateParams) (string, error) {
	given, err := s.cfg.ClaimsFor(ctx, params)
	if err != nil {
		return "", err
	}
	claims, err := ownClaims(given)
	if err != nil {
		return "", fmt.Errorf("sessionstore: what ClaimsFor returned cannot be used: %v", err) //nolint:errorlint // it is no caller's argument
	}
	return claims, nil
}

func claimsOrNil(form string) []byte {
	if form == "" {
		return nil
	}
	return []byte(form)
}

// askedScope is the scope that a refresh asks for, as far as somebody must have been
// given it: clients of OpenID Connect ask for the other two of any service.
func askedScope(scope string) []string {
	if scope == "" {
		return nil
	}
	return slices.DeleteFunc(strings.Split(scope, " "), func(word string) bool { return word == "openid" || word == "offline_access" })
}

// hasScope tells whether the claims' scope has all of what is asked for.
func hasScope(claims string, asked []string) bool {
	if len(asked) == 0 {
		return true
	}
	has := strings.Fields(tokens.Claims{Custom: claims}.Scope())
	return !slices.ContainsFunc(asked, func(word string) bool { return !slices.Contains(has, word) })
}
