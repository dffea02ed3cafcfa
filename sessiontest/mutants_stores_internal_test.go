package sessiontest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

type blindWrites struct{ mem }

func (s blindWrites) Update(ctx context.Context, id uuid.UUID, _ string, data []byte) (string, error) {
	now, err := s.Load(ctx, id)
	if err != nil {
		return "", err
	}
	return s.mem.Update(ctx, id, now.Checksum, data)
}

// racyWrites compares, and then writes: those who compare at once all write.
type racyWrites struct {
	mem

	comparing sync.WaitGroup
}

func newRacyWrites(m mem) sessionhttp.Store {
	s := &racyWrites{mem: m}
	s.comparing.Add(crowd)
	return s
}

func (s *racyWrites) Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error) {
	now, err := s.Load(ctx, id)
	s.comparing.Done()
	s.comparing.Wait()
	if err != nil || now.Checksum != checksum {
		return "", cmp.Or(err, error(&sessionstore.ConflictError{Checksum: now.Checksum}))
	}
	for {
		next, err := blindWrites{s.mem}.Update(ctx, id, checksum, data)
		if !errors.Is(err, sessionstore.ErrConflict) { // of another's between its two steps
			return next, err
		}
	}
}

type bareConflicts struct{ mem }

func (s bareConflicts) Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error) {
	next, err := s.mem.Update(ctx, id, checksum, data)
	if errors.Is(err, sessionstore.ErrConflict) {
		err = sessionstore.ErrConflict
	}
	return next, err
}

type writesToEnded struct{ mem }

func (s writesToEnded) Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error) {
	next, err := s.mem.Update(ctx, id, checksum, data)
	if errors.Is(err, sessionstore.ErrEnded) {
		return checksum, nil
	}
	return next, err
}

type comparesBytes struct{ mem }

func (s comparesBytes) Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error) {
	now, err := s.Load(ctx, id)
	if err == nil && !bytes.Equal(now.Data, data) {
		return "changed", nil
	}
	return s.mem.Update(ctx, id, checksum, data)
}

type nothingIsData struct{ mem }

func (s nothingIsData) Update(ctx context.Context, id uuid.UUID, checksum string, data []byte) (string, error) {
	if len(data) == 0 {
		data = []byte(`{}`)
	}
	return s.mem.Update(ctx, id, checksum, data)
}

type losesWrites struct{ mem }

func (s losesWrites) Update(_ context.Context, _ uuid.UUID, _ string, data []byte) (string, error) {
	return sessionstore.Checksum(data)
}

// seen notes which refresh tokens were exchanged, and the results.
type seen struct {
	mu    sync.Mutex
	first map[string]sessionstore.Refreshed
	// newest is each session's pair.
	newest map[uuid.UUID]pair
}

func (s *seen) note(token string, got sessionstore.Refreshed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first, s.newest = map[string]sessionstore.Refreshed{}, map[uuid.UUID]pair{}
	}
	if _, isThere := s.first[token]; !isThere {
		s.first[token] = got
	}
	s.newest[got.SessionID] = got.Pair
}

func (s *seen) before(token string) (sessionstore.Refreshed, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, isThere := s.first[token]
	return got, isThere
}

type replaysNothing struct {
	mem
	seen
}

func (s *replaysNothing) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	if _, isThere := s.before(token); isThere {
		return sessionstore.Refreshed{}, sessionstore.ErrEnded
	}
	got, err := s.mem.RefreshTokens(ctx, token, client)
	if err == nil {
		s.note(token, got)
	}
	return got, err
}

type newTokenAtReplay struct{ mem }

func (s newTokenAtReplay) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	got, err := s.mem.RefreshTokens(ctx, token, client)
	if err == nil && got.Outcome == sessionstore.Raced {
		got.Pair.RefreshToken += "x"
	}
	return got, err
}

type rotatesForAll struct{ mem }

func (s rotatesForAll) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	got, err := s.mem.RefreshTokens(ctx, token, client)
	if err == nil {
		got.Outcome = sessionstore.Rotated
	}
	return got, err
}

type takesOld struct {
	mem
	seen
}

func (s *takesOld) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	if got, isThere := s.before(token); isThere {
		s.mu.Lock()
		newest := s.newest[got.SessionID]
		s.mu.Unlock()
		return sessionstore.Refreshed{SessionID: got.SessionID, Outcome: sessionstore.Raced, Pair: newest}, nil
	}
	got, err := s.mem.RefreshTokens(ctx, token, client)
	if err == nil {
		s.note(token, got)
	}
	return got, err
}

// harmlessTheft has a copy of each session that it continues with after a theft.
type harmlessTheft struct {
	mem
	seen
}

func (s *harmlessTheft) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	got, err := s.mem.RefreshTokens(ctx, token, client)
	if err == nil {
		s.note(token, got)
	}
	if errors.Is(err, sessionstore.ErrEnded) {
		if before, isThere := s.before(token); isThere {
			return before, nil
		}
		return sessionstore.Refreshed{Outcome: sessionstore.Rotated}, nil
	}
	return got, err
}

type quietTheft struct{ mem }

func (s quietTheft) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	got, err := s.mem.RefreshTokens(ctx, token, client)
	if errors.Is(err, sessionstore.ErrReuse) {
		err = sessionstore.ErrEnded
	}
	return got, err
}

type confirmsAll struct{ mem }

func (s confirmsAll) GetWith(ctx context.Context, token string, options sessionstore.GetOptions) (session, tokens.Claims, error) {
	options.Unconfirmed = false
	return s.mem.GetWith(ctx, token, options)
}

type confirmsNone struct{ mem }

func (s confirmsNone) GetWith(ctx context.Context, token string, options sessionstore.GetOptions) (session, tokens.Claims, error) {
	options.Unconfirmed = true
	return s.mem.GetWith(ctx, token, options)
}

type confirmsFirst struct{ mem }

func (s confirmsFirst) GetWith(ctx context.Context, token string, options sessionstore.GetOptions) (session, tokens.Claims, error) {
	found, claims, err := s.mem.GetWith(ctx, token, sessionstore.GetOptions{Unconfirmed: options.Unconfirmed})
	if err == nil && options.Check != nil {
		if err := options.Check(claims); err != nil {
			return session{}, tokens.Claims{}, err
		}
	}
	return found, claims, err
}

type asksNothing struct{ mem }

func (s asksNothing) GetWith(ctx context.Context, token string, options sessionstore.GetOptions) (session, tokens.Claims, error) {
	options.Check = nil
	return s.mem.GetWith(ctx, token, options)
}

type remembersAccess struct {
	mem
	known sync.Map
}

func (s *remembersAccess) GetWith(ctx context.Context, token string, options sessionstore.GetOptions) (session, tokens.Claims, error) {
	found, claims, err := s.mem.GetWith(ctx, token, options)
	before, _ := s.known.Load(token)
	if before, isThere := before.(session); isThere && errors.Is(err, sessionstore.ErrSuperseded) {
		return before, claims, nil
	}
	s.known.Store(token, found)
	return found, claims, err
}

type takesExpired struct{ mem }

func (s takesExpired) GetWith(ctx context.Context, token string, options sessionstore.GetOptions) (session, tokens.Claims, error) {
	found, claims, err := s.mem.GetWith(ctx, token, options)
	if errors.Is(err, tokens.ErrExpired) {
		err = nil
	}
	return found, claims, err
}

type vague struct{ mem }

func (s vague) GetWith(ctx context.Context, token string, options sessionstore.GetOptions) (session, tokens.Claims, error) {
	found, claims, err := s.mem.GetWith(ctx, token, options)
	if errors.Is(err, tokens.ErrInvalid) {
		err = sessionstore.ErrNotFound
	}
	return found, claims, err
}

type outage struct{ mem }

func (s outage) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	got, err := s.mem.RefreshTokens(ctx, token, client)
	if errors.Is(err, tokens.ErrInvalid) {
		err = sessionstore.ErrUnavailable
	}
	return got, err
}

type losesRevocations struct{ mem }

func (losesRevocations) Invalidate(context.Context, uuid.UUID, ...sessionstore.Cause) error {
	return nil
}

type losesCauses struct{ mem }

func (s losesCauses) Invalidate(ctx context.Context, id uuid.UUID, _ ...sessionstore.Cause) error {
	return s.mem.Invalidate(ctx, id)
}

type failsAgain struct{ mem }

func (s failsAgain) Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error {
	if now, err := s.Load(ctx, id); err == nil && now.Ended != (sessionstore.Ending{}) {
		return sessionstore.ErrEnded
	}
	return s.mem.Invalidate(ctx, id, cause...)
}

// graceAfterEnd gives answers again without asking whether the session lives.
type graceAfterEnd struct {
	mem
	seen
}

func (s *graceAfterEnd) RefreshTokens(ctx context.Context, token string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	got, err := s.mem.RefreshTokens(ctx, token, client)
	if err == nil {
		s.note(token, got)
	}
	if before, isThere := s.before(token); isThere {
		return before, nil
	}
	return got, err
}

type revokesUnknown struct{ mem }

func (s revokesUnknown) Invalidate(ctx context.Context, id uuid.UUID, cause ...sessionstore.Cause) error {
	if err := s.mem.Invalidate(ctx, id, cause...); !errors.Is(err, sessionstore.ErrNotFound) {
		return err
	}
	return nil
}

// changed is a store that changes what creations are asked for.
func changed(ctx context.Context, s mem, p params, change func(*params)) (session, pair, error) {
	change(&p)
	return s.Create(ctx, p)
}

type forgetsKeys struct{ mem }

func (s forgetsKeys) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.IdempotencyKey = "" })
}

type keyIsAll struct {
	mem
	byKey sync.Map
}

func (s *keyIsAll) Create(ctx context.Context, p params) (session, pair, error) {
	first, _ := s.byKey.Load(p.IdempotencyKey)
	if first, isThere := first.(params); isThere {
		p = first
	} else if p.IdempotencyKey != "" {
		s.byKey.Store(p.IdempotencyKey, p)
	}
	return s.mem.Create(ctx, p)
}

type cutsSubjects struct{ mem }

func (s cutsSubjects) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.Subject = p.Subject[:min(len(p.Subject), 255)] })
}

type fillsIn struct{ mem }

func (s fillsIn) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) {
		if len(p.Data) == 0 {
			p.Data = []byte(`{"new":true}`)
		}
	})
}

type forgetsLifetimes struct{ mem }

func (s forgetsLifetimes) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.Lifetimes = sessionstore.Lifetimes{} })
}

type forgetsEnd struct{ mem }

func (s forgetsEnd) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.Lifetimes.Session = 0 })
}

type alwaysRefresh struct{ mem }

func (s alwaysRefresh) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.NoRefresh = false })
}

type forgetsClaims struct{ mem }

func (s forgetsClaims) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.Claims = nil })
}

type forgetsActor struct{ mem }

func (s forgetsActor) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.Actor = nil })
}

type forgetsCookie struct{ mem }

func (s forgetsCookie) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.Cookie = "" })
}

type forgetsClient struct{ mem }

func (s forgetsClient) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.Client = sessionstore.Client{} })
}

type forgetsBinding struct{ mem }

func (s forgetsBinding) Create(ctx context.Context, p params) (session, pair, error) {
	return changed(ctx, s.mem, p, func(p *params) { p.KeyThumbprint = "" })
}

type forgetsRefresher struct{ mem }

func (s forgetsRefresher) RefreshTokens(ctx context.Context, token string, _ sessionstore.Client) (sessionstore.Refreshed, error) {
	return s.mem.RefreshTokens(ctx, token, sessionstore.Client{})
}

type believesProofs struct{ mem }

func (s believesProofs) RefreshTokensWithProof(ctx context.Context, token, thumbprint string, client sessionstore.Client) (sessionstore.Refreshed, error) {
	if thumbprint == otherKey {
		thumbprint = ownKey
	}
	return s.mem.RefreshTokensWithProof(ctx, token, thumbprint, client)
}

// sharesMemory gives all callers the same slice.
type sharesMemory struct {
	mem
	data sync.Map
}

func (s *sharesMemory) Load(ctx context.Context, id uuid.UUID) (session, error) {
	found, err := s.mem.Load(ctx, id)
	if err == nil {
		data, _ := s.data.LoadOrStore(found.Checksum, bytes.Clone(found.Data))
		found.Data, _ = data.([]byte)
	}
	return found, err
}

// replacesTwice makes the new session and leaves the old one.
type replacesTwice struct{ mem }

func (s replacesTwice) Replace(ctx context.Context, was sessionstore.Replaced, p params) (session, pair, error) {
	old, err := s.Load(ctx, was.SessionID)
	if err != nil {
		return session{}, pair{}, err
	}
	if len(p.Data) == 0 {
		p.Data = old.Data
	}
	p.Subject, p.Client.Label = old.Subject, old.Client.Label
	return s.Create(ctx, p)
}

type endsFirst struct{ mem }

func (s endsFirst) Replace(ctx context.Context, was sessionstore.Replaced, p params) (session, pair, error) {
	made, tokens, err := s.mem.Replace(ctx, was, p)
	if err != nil && was.SessionID != uuid.Nil {
		_ = s.Invalidate(ctx, was.SessionID)
	}
	return made, tokens, err
}

type blindReplaces struct{ mem }

func (s blindReplaces) Replace(ctx context.Context, was sessionstore.Replaced, p params) (session, pair, error) {
	was.Checksum = ""
	return s.mem.Replace(ctx, was, p)
}

type losesDataAtReplace struct{ mem }

func (s losesDataAtReplace) Replace(ctx context.Context, was sessionstore.Replaced, p params) (session, pair, error) {
	if len(p.Data) == 0 {
		p.Data = []byte(`{}`)
	}
	return s.mem.Replace(ctx, was, p)
}

type keepsDataAtReplace struct{ mem }

func (s keepsDataAtReplace) Replace(ctx context.Context, was sessionstore.Replaced, p params) (session, pair, error) {
	p.Data = nil
	return s.mem.Replace(ctx, was, p)
}

type replacesOnce struct {
	mem
	done sync.Map
}

func (s *replacesOnce) Replace(ctx context.Context, was sessionstore.Replaced, p params) (session, pair, error) {
	if _, isThere := s.done.LoadOrStore(was, true); isThere {
		return session{}, pair{}, sessionstore.ErrNotReplaceable
	}
	return s.mem.Replace(ctx, was, p)
}

type listsAll struct{ mem }

func (s listsAll) Invalidate(ctx context.Context, id uuid.UUID, _ ...sessionstore.Cause) error {
	_, err := s.Load(ctx, id)
	return err
}

type keepsNone struct{ mem }

func (s keepsNone) InvalidateSubject(ctx context.Context, subject string, _ uuid.UUID, cause ...sessionstore.Cause) (int64, error) {
	return s.mem.InvalidateSubject(ctx, subject, uuid.Nil, cause...)
}

type revokesAccess struct{ mem }

func (s revokesAccess) RevokeToken(ctx context.Context, token string) error {
	if _, _, err := s.Get(ctx, token); err != nil {
		return nil //nolint:nilerr // no access token
	}
	return s.mem.RevokeToken(ctx, token)
}

// patchesNothing says what was wanted, and keeps what was there.
type patchesNothing struct{ mem }

func (s patchesNothing) Patch(ctx context.Context, id uuid.UUID, patch sessionstore.Patch) (session, error) {
	found, err := s.Load(ctx, id)
	found.Data, found.Checksum, found.ExpiresAt = nil, "", s.Now().Add(patch.Lifetimes.RefreshToken)
	return found, err
}

// setsNothing takes claims, and keeps what was there.
type setsNothing struct{ mem }

func (s setsNothing) SetClaims(ctx context.Context, id uuid.UUID, _ string, _ []byte, _ sessionstore.SetClaimsOptions) (string, error) {
	_, checksum, err := s.LoadClaims(ctx, id)
	return checksum, err
}

type supersedesNothing struct{ mem }

func (s supersedesNothing) SetClaims(ctx context.Context, id uuid.UUID, checksum string, claims []byte, _ sessionstore.SetClaimsOptions) (string, error) {
	return s.mem.SetClaims(ctx, id, checksum, claims, sessionstore.SetClaimsOptions{})
}

type setsBlindly struct{ mem }

func (s setsBlindly) SetClaims(ctx context.Context, id uuid.UUID, _ string, claims []byte, options sessionstore.SetClaimsOptions) (string, error) {
	_, checksum, err := s.LoadClaims(ctx, id)
	if err != nil {
		return "", err
	}
	return s.mem.SetClaims(ctx, id, checksum, claims, options)
}
