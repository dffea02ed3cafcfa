package shards

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

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
// The place is that of a session, and does not depend on a shard: so one cursor is valid for all shards, whichever
// there are.

// byID is a session's place in a list in the order of ids.
func byID(s sessionstore.Session) []byte { return s.ID[:] }

// byEnd is a session's place in a list in the order in which sessions were ended.
func byEnd(s sessionstore.Session) []byte { return byTime(s.RevokedAt, s.ID) }

func byTime(at time.Time, id uuid.UUID) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro())), id[:]...)
}

// page makes one page of the pages of all shards, in descending order of the places.
func (r *Router) page(ctx context.Context, params sessionstore.ListParams, place func(sessionstore.Session) []byte,
	list func(context.Context, *sessionstore.Store, sessionstore.ListParams) (sessionstore.Page, error),
) (sessionstore.Page, error) {
	sessions, next, err := pageOf(ctx, r, params, place, func(ctx context.Context, store *sessionstore.Store) ([]sessionstore.Session, string, error) {
		page, err := list(ctx, store, params)
		return page.Sessions, page.NextCursor, err
	})
	return sessionstore.Page{Sessions: sessions, NextCursor: next}, err
}

// pageOf is page for whatever has a place.
func pageOf[T any](ctx context.Context, r *Router, params sessionstore.ListParams, place func(T) []byte,
	list func(context.Context, *sessionstore.Store) ([]T, string, error),
) (found []T, next string, err error) {
	lists, cursors := make([][]T, len(r.all)), make([]string, len(r.all))
	err = r.askStores(ctx, func(ctx context.Context, i int, store *sessionstore.Store) (err error) {
		lists[i], cursors[i], err = list(ctx, store)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	// For a shard whose list continues, nothing is known about what follows its cursor: the
	// page ends at the first such place.
	var end []byte
	for i, cursor := range cursors {
		if cursor != "" {
			at, err := base64.RawURLEncoding.DecodeString(cursor)
			if err != nil {
				return nil, "", fmt.Errorf("shards: the cursor %q of a list: %w", cursor, err)
			}
			if bytes.Compare(at, end) > 0 {
				end = at
			}
		}
		found = append(found, lists[i]...)
	}
	found = slices.DeleteFunc(found, func(v T) bool { return bytes.Compare(place(v), end) < 0 })
	slices.SortFunc(found, func(a, b T) int { return bytes.Compare(place(b), place(a)) })
	if limit := cmp.Or(params.Limit, sessionstore.DefaultListLimit); len(found) > limit {
		found = found[:limit]
		end = place(found[limit-1])
	}
	if end != nil {
		next = base64.RawURLEncoding.EncodeToString(end)
	}
	return found, next, nil
}
