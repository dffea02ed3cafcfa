package audit

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Sessions records what a store changes: give it to [sessionstore.Config].Observers.
func (l *Log) Sessions() sessionstore.Observer { return sessions{l} }

type sessions struct{ log *Log }

// Begin leaves the context unchanged.
func (sessions) Begin(ctx context.Context, _ sessionstore.Operation) context.Context { return ctx }

// End records what was changed, if anything was.
func (s sessions) End(ctx context.Context, r sessionstore.Result) {
	theft, stolen := errors.AsType[*sessionstore.ReuseError](r.Err)
	if r.Changed == uuid.Nil && r.Revoked == 0 && !r.Everyone && !stolen {
		return
	}
	origin := s.log.origin(ctx)
	itself := origin // the program, because of that request
	itself.Actor = Actor{Type: System}

	switch r.Operation {
	case sessionstore.OperationCreate:
		s.log.record(ctx, Event{Name: SessionCreated, Origin: origin.of(r), SessionID: r.Changed, Subject: r.Subject, ClientID: r.ClientID, Act: r.Actor})
		if r.Replaced != uuid.Nil {
			s.log.record(ctx, Event{Name: SessionRevoked, Origin: origin, SessionID: r.Replaced, Subject: r.ReplacedSubject, ClientID: r.ReplacedClientID, Reason: Replaced})
		}
		if r.Revoked > 0 {
			s.log.record(ctx, Event{Name: SessionsRevoked, Origin: itself, Subject: r.Subject, Count: r.Revoked, Clients: r.RevokedByClient, Reason: Limit})
		}
	case sessionstore.OperationUpdate:
		s.log.record(ctx, Event{Name: SessionUpdated, Origin: origin.of(r), SessionID: r.Changed, Subject: r.Subject})
	case sessionstore.OperationPatch:
		s.log.record(ctx, Event{Name: SessionPatched, Origin: origin.of(r), SessionID: r.Changed, Subject: r.Subject, ClientID: r.ClientID})
	case sessionstore.OperationSetClaims:
		s.log.record(ctx, Event{Name: SessionClaimsSet, Origin: origin.of(r), SessionID: r.Changed, Subject: r.Subject, ClientID: r.ClientID})
	case sessionstore.OperationRefresh:
		if stolen {
			s.log.record(ctx, Event{
				Name: SessionRevoked, Origin: itself, SessionID: theft.SessionID, Subject: theft.Subject, ClientID: theft.ClientID,
				Reason: TokenReuse, Theft: string(theft.Theft),
			})
		}
	case sessionstore.OperationRevoke:
		e := Event{Name: SessionRevoked, Origin: origin.of(r), SessionID: r.Changed, Subject: r.Subject, ClientID: r.ClientID, Reason: Requested}
		if r.Changed == uuid.Nil {
			e.Name, e.Count, e.Clients, e.Kept, e.All = SessionsRevoked, r.Revoked, r.RevokedByClient, r.Kept, r.Subject == ""
		}
		s.log.record(ctx, e)
	case sessionstore.OperationGet, sessionstore.OperationLoad, sessionstore.OperationList:
	}
}

// of fills in whose token a user presented: users can only reach their own sessions.
func (o Origin) of(r sessionstore.Result) Origin {
	if o.Actor.Type != Subject || o.Actor.ID != "" {
		return o
	}
	if o.Actor.SessionID == uuid.Nil && r.Operation == sessionstore.OperationRevoke {
		o.Actor.Act = r.Actor // the token belongs to the session that it ended
	}
	switch {
	case r.Subject != "":
		o.Actor.ID = r.Subject
	default:
		o.Actor.Type = Session
		if o.Actor.SessionID == uuid.Nil {
			o.Actor.SessionID = r.Changed
		}
	}
	return o
}
