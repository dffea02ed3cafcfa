package shards

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func (r *Router) isLimited(subject string) bool { return r.cfg.SessionsPerSubject > 0 && subject != "" }

// createLimited calls create so that the subject has no more sessions on all shards than it may:
// one creation at a time, because each holds the lock on the subject's home, counts the sessions on
// the other shards, and has those of them end that are older than what stays. The session
// replaced, if there is one, does not count.
//
// A shard that does not answer stops no creation. A note is kept of the new session, and
// [Router.doNoted] makes the limit exact when the shard is back.
func (r *Router) createLimited(ctx context.Context, on *shard, replaced uuid.UUID, params sessionstore.CreateParams,
	create func(sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair, error),
) (session sessionstore.Session, pair sessionstore.TokenPair, err error) {
	fail := func(err error) (sessionstore.Session, sessionstore.TokenPair, error) {
		return sessionstore.Session{}, sessionstore.TokenPair{}, err
	}
	holder, unlock, err := r.lockSubject(ctx, params.Subject)
	if err != nil {
		return fail(err)
	}
	defer unlock()
	live, missing, err := r.newest(ctx, params.Subject, holder)
	if err != nil {
		return fail(err)
	}
	if i := slices.IndexFunc(live, func(s sessionstore.Session) bool { return s.ID == replaced }); i >= 0 {
		live = slices.Delete(live, i, i+1)
		missing = nil // the new session takes its place: their number stays as it is
	}
	surplus := 0 // how many of them have to go, the oldest first
	if r.cfg.SessionsPerSubjectAction == sessionstore.EndOldest {
		surplus = max(0, len(live)+1-r.cfg.SessionsPerSubject)
	}
	isElsewhere := func(s sessionstore.Session) bool { return sessionid.Shard(s.ID) != on.Number }
	for _, s := range live[surplus:] {
		if isElsewhere(s) {
			params.Elsewhere++
		}
	}
	if session, pair, err = create(params); err != nil {
		return fail(err)
	}
	if i := slices.IndexFunc(live, func(s sessionstore.Session) bool { return s.ID == session.ID }); i >= 0 {
		live = slices.Delete(live, i, i+1) // the request was sent again, and nothing was created
		surplus = max(0, surplus-1)
	}
	for _, old := range live[:surplus] {
		if !isElsewhere(old) {
			continue // the store has seen to it
		}
		err := r.Invalidate(ctx, old.ID, sessionstore.Cause{Reason: sessionstore.ReasonLimit, By: session.ID.String()})
		switch {
		case errors.Is(err, sessionstore.ErrUnavailable):
			missing = append(missing, sessionid.Shard(old.ID))
		case err != nil:
			return fail(fmt.Errorf("end a session for a new one: %w", err))
		}
	}
	if len(missing) == 0 {
		return session, pair, nil
	}
	if err := r.noteUncounted(ctx, on, uncountedOf(params.Subject, session, live[surplus:], missing)); err != nil {
		return fail(err)
	}
	return session, pair, nil
}
