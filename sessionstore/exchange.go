package sessionstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/compas"
	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// errExpired is the [ErrEnded] of a refresh token whose own time is over, by the
// database's clock.
var errExpired = fmt.Errorf("%w: %w", ErrEnded, tokens.ErrExpired)

// exchange decides what a refresh token gets, and commits it. An outcome without a
// pair is an error, too. The time is the database's.
func (s *Store) exchange(ctx context.Context, t presented) (refresh.Decision, time.Time, error) {
	// A token of Compas is never a pair's newest. A requested scope or resource is
	// compared with the row before anything is changed, and so under the locks.
	if t.compas == uuid.Nil && len(t.scope) == 0 && len(t.resources) == 0 {
		r, err := s.rotations.Do(ctx, newRotation(t))
		if err != nil {
			return refresh.Decision{}, time.Time{}, sessionerr.Unavailable("refresh", err)
		}
		if r.Of.rotated {
			return refresh.Decision{Outcome: Rotated, Next: r.Of.next}, r.Of.next.IssuedAt, nil
		}
	}
	for {
		d, now, delayed, err := s.decideLocked(ctx, t)
		switch {
		case errors.Is(err, compas.ErrTakenOver): // by another request: now the pair is there
		case errors.Is(err, ErrScope), errors.Is(err, ErrResource), errors.Is(err, ErrOtherClient), errors.Is(err, ErrProofRequired):
			return refresh.Decision{}, now, err
		case pgvalue.IsNoRows(err):
			return refresh.Decision{}, now, ErrNotFound
		case err != nil:
			return refresh.Decision{}, now, sessionerr.Unavailable("refresh", err)
		default:
			if d.Outcome == Refused && !d.Unproven && !t.claims.ExpiresAt.IsZero() && !now.Before(t.claims.ExpiresAt) {
				return d, now, errExpired
			}
			return d, now, s.refusal(&d, t.claims, delayed)
		}
	}
}

// decideLocked handles every case but a rotation of the newest token: it locks the
// session row and the pair's row, decides, and commits the outcome before it returns,
// including the revocation after a theft. If the theft's report must come later,
// delayed says why.
func (s *Store) decideLocked(ctx context.Context, t presented) (d refresh.Decision, now time.Time, delayed, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		var p refresh.Pair
		p, now, err = lockPair(ctx, tx, t.claims)
		isOthers := s.isOthers(p, t.clientID)
		switch {
		case (err == nil || pgvalue.IsNoRows(err) && s.compas != nil) && isOthers:
			return ErrOtherClient // any other holder of the token: a wrong name ends no session
		case err == nil:
			d, err = s.decide(p, t, now)
		case pgvalue.IsNoRows(err) && s.compas != nil:
			d, now, err = s.compas.TakeOver(ctx, tx, compas.Presented{
				Claims: t.claims, Row: t.compas, Proven: t.proven, UserAgent: t.client.UserAgent, IP: t.client.IP, Wanted: t.wanted.of,
			})
			p = d.Next // it is written already
		}
		if err == nil {
			err = s.lacks(&d, &t)
		}
		switch {
		case err != nil:
			return err
		case d.Outcome == Stolen:
			if err := revoke(ctx, tx, &revocation{id: d.Next.SessionID, cause: Cause{Reason: ReasonTheft, By: string(d.Theft)}}); err != nil {
				return err
			}
			delayed, err = reportLeak(ctx, tx, s.cfg.Leaks, d, t, now)
			return err
		case d.Next == p:
			return nil
		case d.Outcome == StillFresh && d.Next.BoundTo == p.BoundTo && d.Next.AccessGeneration == p.AccessGeneration:
			return recordConfirmations(ctx, tx, map[uuid.UUID]accessVersion{p.ID: {p.AccessGeneration, p.MintedAt(), p.AccessExpiresAt}})
		case d.Next.Claims != p.Claims || d.Next.Lifetimes != p.Lifetimes:
			if err := writeWanted(ctx, tx, d.Next); err != nil {
				return err
			}
			return writePair(ctx, tx, d.Next, t.client)
		default:
			return writePair(ctx, tx, d.Next, t.client)
		}
	})
	return d, now, delayed, err
}

// decide decides, and then gives a new pair what the program specifies for it: the
// decision does not depend on that.
func (s *core) decide(p refresh.Pair, t presented, now time.Time) (refresh.Decision, error) {
	token := refresh.Presented{Generation: t.claims.Generation, ExpiresAt: t.claims.ExpiresAt}
	d := refresh.Decide(p, t.keys(), token, now, s.rules)
	if t.wanted == (wanted{}) || d.Outcome != Rotated && d.Outcome != Healed {
		return d, nil
	}
	p, err := t.wanted.of(p)
	return refresh.Decide(p, t.keys(), token, now, s.rules), err
}

// refusal is the error for an outcome that gives no pair, nil for any other.
func (s *core) refusal(d *refresh.Decision, presented tokens.Claims, delayed error) error {
	switch d.Outcome {
	case Refused:
		if d.Unproven {
			return ErrNotProven
		}
		return ErrEnded
	case Stolen:
		return &ReuseError{SessionID: presented.SessionID, Subject: d.Next.Subject, ClientID: cmp.Or(d.Next.Client, s.rules.FirstClient), Theft: d.Theft, Behind: d.Next.Generation - presented.Generation, ReportDelayed: delayed}
	case Rotated, StillFresh, Raced, RetriedLate, Healed:
	}
	return nil
}

// lacks returns the error of a refresh that would get a pair except for what came with
// it.
func (s *core) lacks(d *refresh.Decision, t *presented) error {
	switch {
	case d.Outcome == Refused, d.Outcome == Stolen:
		return nil
	case !hasScope(d.Next.Claims, t.scope):
		return ErrScope
	case !hasResources(cmp.Or(d.Next.Audience, s.cfg.Tokens.Audience), t.resources):
		return ErrResource
	case t.proven == "" && slices.Contains(s.provers, cmp.Or(d.Next.Client, s.rules.FirstClient)):
		return ErrProofRequired
	}
	return nil
}

// isOthers reports whether a pair belongs to a client other than the one named. A client
// that is not configured here may have been renamed: for its pairs, any name is right.
func (s *core) isOthers(p refresh.Pair, name string) bool {
	of := cmp.Or(p.Client, s.rules.FirstClient)
	return name != "" && name != of && slices.Contains(s.cfg.clientIDs(), of)
}
