package memstore

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

const (
	defaultListLimit = 50
	maxListLimit     = 200
)

// List returns a subject's live sessions, newest first: see [sessionstore.Store.List].
func (s *Store) List(_ context.Context, subject string, params sessionstore.ListParams) (sessionstore.Page, error) {
	if err := checkSubject(subject); err != nil {
		return sessionstore.Page{}, err
	}
	limit := params.Limit
	if limit == 0 {
		limit = defaultListLimit
	}
	if limit < 1 || limit > maxListLimit {
		return sessionstore.Page{}, &sessionstore.ArgumentError{Field: "limit", Problem: "not between 1 and 200"}
	}
	before := uuid.Max
	if params.Cursor != "" {
		var err error
		if before, err = uuid.Parse(params.Cursor); err != nil {
			return sessionstore.Page{}, &sessionstore.ArgumentError{Field: "cursor", Problem: "not a cursor that this list gave"}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	newestFirst := slices.SortedFunc(slices.Values(s.subjects[subject]), func(a, b *row) int {
		return bytes.Compare(b.session.ID[:], a.session.ID[:])
	})
	var page sessionstore.Page
	now := s.Now()
	for _, r := range newestFirst {
		if !s.core.IsLive(r.pair, now) || bytes.Compare(r.session.ID[:], before[:]) >= 0 {
			continue
		}
		if len(page.Sessions) == limit {
			page.NextCursor = page.Sessions[limit-1].ID.String()
			break
		}
		page.Sessions = append(page.Sessions, s.summary(r, now))
	}
	return page, nil
}
