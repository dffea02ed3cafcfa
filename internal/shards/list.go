package shards

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// List is [sessionstore.Store.List] over all shards.
func (r *Router) List(ctx context.Context, subject string, params sessionstore.ListParams) (sessionstore.Page, error) {
	return r.page(ctx, params, byID, func(ctx context.Context, store *sessionstore.Store, params sessionstore.ListParams) (sessionstore.Page, error) {
		return store.List(ctx, subject, params)
	})
}

// Find is [sessionstore.Store.Find] over all shards.
func (r *Router) Find(ctx context.Context, params sessionstore.FindParams) (sessionstore.Page, error) {
	place := byID
	if params.Ended && params.Subject == "" {
		place = byEnd
	}
	return r.page(ctx, params.ListParams, place, func(ctx context.Context, store *sessionstore.Store, page sessionstore.ListParams) (sessionstore.Page, error) {
		params := params
		params.ListParams = page
		return store.Find(ctx, params)
	})
}

// A cursor is a place in the order of a list, written as bytes that are in that order, in base64.
// The place is that of a session, and does not depend on a shard: so one cursor is good for all
// shards, whichever there are.

// byID is a session's place in a list in the order of ids.
func byID(s sessionstore.Session) []byte { return s.ID[:] }

// byEnd is a session's place in a list in the order in which sessions were ended.
func byEnd(s sessionstore.Session) []byte {
	at := binary.BigEndian.AppendUint64(nil, uint64(s.RevokedAt.UnixMicro()))
	return append(at, s.ID[:]...)
}

// page makes one page of the pages of all shards, in descending order of the places.
func (r *Router) page(ctx context.Context, params sessionstore.ListParams, place func(sessionstore.Session) []byte,
	list func(context.Context, *sessionstore.Store, sessionstore.ListParams) (sessionstore.Page, error),
) (sessionstore.Page, error) {
	pages := make([]sessionstore.Page, len(r.all))
	err := r.askStores(ctx, func(ctx context.Context, i int, store *sessionstore.Store) (err error) {
		pages[i], err = list(ctx, store, params)
		return err
	})
	if err != nil {
		return sessionstore.Page{}, err
	}
	// For a shard whose list continues, nothing is known about what follows its cursor: the
	// page ends at the first such place.
	var end []byte
	var found sessionstore.Page
	for _, p := range pages {
		if p.NextCursor != "" {
			at, err := base64.RawURLEncoding.DecodeString(p.NextCursor)
			if err != nil {
				return sessionstore.Page{}, fmt.Errorf("shards: the cursor %q of a list: %w", p.NextCursor, err)
			}
			if bytes.Compare(at, end) > 0 {
				end = at
			}
		}
		found.Sessions = append(found.Sessions, p.Sessions...)
	}
	found.Sessions = slices.DeleteFunc(found.Sessions, func(s sessionstore.Session) bool { return bytes.Compare(place(s), end) < 0 })
	slices.SortFunc(found.Sessions, func(a, b sessionstore.Session) int { return bytes.Compare(place(b), place(a)) })
	if limit := cmp.Or(params.Limit, sessionstore.DefaultListLimit); len(found.Sessions) > limit {
		found.Sessions = found.Sessions[:limit]
		end = place(found.Sessions[limit-1])
	}
	if end != nil {
		found.NextCursor = base64.RawURLEncoding.EncodeToString(end)
	}
	return found, nil
}
