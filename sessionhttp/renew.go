package sessionhttp

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Renew puts a new session in the place of this one, which ends: call it when a user
// signs in, or gets more rights in another way, before the response begins. The handler hands the pair
// to the client as it does at a sign-in without a session before it; the tokens that the
// request came with are refused from now on, also in requests that are under way.
//
// From then on this is the new session, and [Session.Info] with it. It keeps Data, with
// the handler's changes, instead of which params cannot give others; and
// its subject and label where params have none. It is bound to the key that the request has proven
// to have, if to any, unless params name another. For the rest see [sessionstore.Store.Replace]. Claims
// stay those of the access token that the request came with.
//
// The error is [sessionstore.ErrConflict] where the handler has changed Data, and another
// request has too, and [sessionstore.ErrEnded] where the session has ended; nothing has
// changed then.
func (s *Session[T]) Renew(ctx context.Context, params sessionstore.CreateParams) (sessionstore.TokenPair, error) {
	if s.ended {
		return sessionstore.TokenPair{}, sessionstore.ErrEnded
	}
	data, err := json.Marshal(s.Data)
	if err != nil {
		return sessionstore.TokenPair{}, fmt.Errorf("encode the session data: %w", err)
	}
	replaced := sessionstore.Replaced{SessionID: s.Info.ID}
	params.Data = nil
	if !bytes.Equal(data, s.baseline) {
		params.Data, replaced.Checksum = data, s.checksum
	}
	params.KeyThumbprint = cmp.Or(params.KeyThumbprint, s.Claims.KeyThumbprint)
	info, pair, err := s.store.Replace(ctx, replaced, params)
	if errors.Is(err, sessionstore.ErrNotReplaceable) {
		err = fmt.Errorf("%w: %w", sessionstore.ErrEnded, err)
	}
	if err != nil {
		return sessionstore.TokenPair{}, err
	}
	s.Info = info
	return pair, s.read(info)
}
