package memstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/netip"
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
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.page(slices.Values(s.subjects[subject]), params, func(*row) bool { return true })
}

// Find returns live sessions, of a subject or of all, newest first: see
// [sessionstore.Store.Find]. Those that have ended are not kept: requesting them
// gives [errors.ErrUnsupported].
func (s *Store) Find(_ context.Context, params sessionstore.FindParams) (sessionstore.Page, error) {
	if params.Ended || !params.Since.IsZero() {
		return sessionstore.Page{}, fmt.Errorf("memstore: find sessions that have ended: %w", errors.ErrUnsupported)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := maps.Values(s.rows)
	if params.Subject != "" {
		rows = slices.Values(s.subjects[params.Subject])
	}
	return s.page(rows, params.ListParams, func(r *row) bool {
		return (params.Label == "" || params.Label == r.session.Client.Label) &&
			(!params.Network.IsValid() || contains(params.Network, r.session.Client.IP) || contains(params.Network, r.session.LastClient.IP))
	})
}

func contains(network netip.Prefix, ip string) bool {
	address, err := netip.ParseAddr(ip)
	return err == nil && network.Contains(address)
}

// page returns those of the rows that are live and match. The lock is held.
func (s *Store) page(rows iter.Seq[*row], params sessionstore.ListParams, matches func(*row) bool) (sessionstore.Page, error) {
	limit := cmp.Or(params.Limit, defaultListLimit)
	if limit < 1 || limit > maxListLimit {
		return sessionstore.Page{}, &sessionstore.ArgumentError{Field: "limit", Problem: "not between 1 and 200"}
	}
	before := uuid.Max
	if params.Cursor != "" {
		var err error
		if before, err = uuid.Parse(params.Cursor); err != nil {
			return sessionstore.Page{}, &sessionstore.ArgumentError{Field: "cursor", Problem: "not a cursor from this list"}
		}
	}
	newestFirst := slices.SortedFunc(rows, func(a, b *row) int {
		return bytes.Compare(b.session.ID[:], a.session.ID[:])
	})
	var page sessionstore.Page
	now := s.Now()
	for _, r := range newestFirst {
		if !s.core.IsLive(r.pair, now) || bytes.Compare(r.session.ID[:], before[:]) >= 0 || !matches(r) {
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
