package sessionstore_test

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Changes to a session from outside, for the walks of the state machine.

// patch changes lifetimes, where they fit.
func (s *walk) patch(t *rapid.T) {
	id := s.drawSession(t)
	own := rapid.SampledFrom([]sessionstore.Lifetimes{
		{AccessToken: time.Minute}, {AccessToken: 20 * time.Minute}, {RefreshToken: 30 * time.Minute}, {AccessToken: 20 * time.Minute, RefreshToken: 10 * time.Minute}, {Session: 10 * time.Minute}, {AccessToken: 2 * time.Minute, RefreshToken: time.Hour, Session: 5 * time.Hour},
	}).Draw(t, "lifetimes")
	_, err := s.store.Patch(t.Context(), id, sessionstore.Patch{Lifetimes: own})
	m, exists := s.sessions[id]
	now, wanted := s.clock.at, own.Or(m.lifetimes)
	isEnd := own.RefreshToken != 0 || own.Session != 0
	next := m
	next.lifetimes = wanted
	if own.Session != 0 {
		next.end = now.Add(own.Session)
	}
	if isEnd {
		next.expires = next.capped(now.Add(wanted.RefreshToken))
		next.refreshJWT = "" // the next time that it is given, its expiry is another one
	}
	switch {
	case !exists:
		s.want(t, "patch: not found", err, sessionstore.ErrNotFound)
	case m.ended(now):
		s.want(t, "patch: ended", err, sessionstore.ErrEnded)
	case wanted.AccessToken >= wanted.RefreshToken, isEnd && next.expires.Before(m.accessExpires):
		s.want(t, "patch: does not fit", err, sessionstore.ErrInvalidArgument)
	default:
		s.want(t, "patch", err, nil)
		s.sessions[id] = next
	}
}

// supersede sets claims, and makes access tokens already issued refused.
func (s *walk) supersede(t *rapid.T) {
	id := s.drawSession(t)
	claims := fmt.Sprintf(`{"n":%d}`, rapid.IntRange(1, 3).Draw(t, "claims"))
	_, checksum, err := s.store.LoadClaims(t.Context(), id)
	if err == nil {
		_, err = s.store.SetClaims(t.Context(), id, checksum, []byte(claims), supersede)
	}
	m, exists := s.sessions[id]
	switch {
	case !exists:
		s.want(t, "supersede: not found", err, sessionstore.ErrNotFound)
	case m.ended(s.clock.at):
		s.want(t, "supersede: ended", err, sessionstore.ErrEnded)
	default:
		s.want(t, "supersede", err, nil)
		m.claims = claims
		m.accessGeneration += refresh.SupersededBy
		m.accessJWT = ""
		s.sessions[id] = m
	}
}

// replace has another session take the place of one. No request equals an earlier one.
func (s *walk) replace(t *rapid.T) {
	if len(s.sessions) == 4 {
		t.Skip("enough")
	}
	id := s.drawSession(t)
	data := fmt.Sprintf(`{"n":%d}`, 1000+len(s.ids))
	session, pair, err := s.store.Replace(t.Context(), sessionstore.Replaced{SessionID: id}, sessionstore.CreateParams{Data: []byte(data)})
	was, exists := s.sessions[id]
	if !exists || was.ended(s.clock.at) {
		s.want(t, "replace: not replaceable", err, sessionstore.ErrNotReplaceable)
		return
	}
	s.want(t, "replace", err, nil)
	s.revoke(id, sessionstore.Cause{Reason: sessionstore.ReasonReplaced, By: session.ID.String()})
	now := s.clock.at
	m := modelSession{
		subject: was.subject, data: data, created: now, updated: now,
		lifetimes: sessionstore.Lifetimes{AccessToken: sessionstore.DefaultAccessTokenTTL, RefreshToken: sessionstore.DefaultRefreshTokenTTL},
	}
	m.expires, m.accessExpires = now.Add(m.lifetimes.RefreshToken), now.Add(m.lifetimes.AccessToken)
	s.ids = append(s.ids, session.ID)
	s.answered(t, session.ID, &m, pair)
	s.sessions[session.ID] = m
}
