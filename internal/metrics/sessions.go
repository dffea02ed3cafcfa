package metrics

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// refusals say in one word why a refresh gave no pair, in addition to the store's own outcomes. The first
// match counts.
var refusals = []struct {
	err     error
	outcome string
}{
	{context.Canceled, "abandoned"},               // the client went away
	{sessionstore.ErrUnavailable, "unavailable"},  // the database did not answer: an outage is never about the token
	{sessionstore.ErrReuse, "stolen"},             // it came back, and its session was revoked
	{tokens.ErrExpired, "expired"},                // the token's time has passed; its session may have ended as well
	{sessionstore.ErrEnded, "refused"},            // the session has ended
	{sessionstore.ErrNotFound, "unknown"},         // there is no such session
	{sessionstore.ErrNotProven, "not_proven"},     // the token is bound to another key than its sender's
	{sessionstore.ErrScope, "scope"},              // it asks for more than the session's scope
	{sessionstore.ErrResource, "resource"},        // it asks for a resource that the session is not for
	{sessionstore.ErrOtherClient, "other_client"}, // the token was issued to another client
	{sessionstore.ErrProofRequired, "no_proof"},   // its client needs a proof
	{tokens.ErrUnknownKey, "unknown_key"},         // none of our keys signed the token
	{tokens.ErrWrongIssuer, "wrong_issuer"},       // the token names another issuer
	{tokens.ErrWrongAudience, "wrong_audience"},   // the token is for another token endpoint
	{tokens.ErrInvalid, "invalid"},                // the token does not verify, for none of the reasons above
}

// refreshFailed is anything else.
const refreshFailed = "failed"

// Why a session was revoked.
const (
	causeAsked    = "asked"
	causeStolen   = "stolen"
	causeLimit    = "limit"    // its subject has too many
	causeReplaced = "replaced" // another took its place
)

// sessions counts what happened to sessions. It is a [sessionstore.Observer].
// Every series is there from the start, so that its first event is an increase.
type sessions struct {
	clients     map[string]*ofClient // by id; those of an unknown client have an empty id
	refused     map[string]prometheus.Counter
	thefts      map[sessionstore.Theft]prometheus.Counter
	delayed     prometheus.Counter // reports of thefts
	unavailable map[sessionstore.Operation]prometheus.Counter
}

// ofClient counts what happened to a client's sessions.
type ofClient struct {
	created prometheus.Counter
	revoked map[string]prometheus.Counter // by cause
	given   map[sessionstore.Outcome]prometheus.Counter
}

func newSessions(registry prometheus.Registerer, clients []string) *sessions {
	s := &sessions{
		delayed: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "leak_reports_delayed_total",
			Help: "Reports of stolen refresh tokens that could not be enqueued at once. They are kept with their sessions, and enqueued later.",
		}),
		clients:     map[string]*ofClient{},
		refused:     map[string]prometheus.Counter{},
		thefts:      map[sessionstore.Theft]prometheus.Counter{},
		unavailable: map[sessionstore.Operation]prometheus.Counter{},
	}
	created := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "sessions_created_total",
		Help: "Sessions that were created.",
	}, []string{"client"})
	revoked := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "sessions_revoked_total",
		Help: "Sessions that were revoked: on request, because a refresh token was stolen, because their subject had too many, or because another session took their place.",
	}, []string{"cause", "client"})
	refreshes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "refreshes_total",
		Help: "Refresh tokens that were presented, by outcome.",
	}, []string{"outcome", "client"})
	for _, id := range append([]string{""}, clients...) {
		of := &ofClient{created: created.WithLabelValues(id), revoked: map[string]prometheus.Counter{}, given: map[sessionstore.Outcome]prometheus.Counter{}}
		for _, cause := range []string{causeAsked, causeStolen, causeLimit, causeReplaced} {
			of.revoked[cause] = revoked.WithLabelValues(cause, id)
		}
		for _, outcome := range []sessionstore.Outcome{
			sessionstore.Rotated, sessionstore.StillFresh, sessionstore.Raced, sessionstore.RetriedLate, sessionstore.Healed,
		} {
			of.given[outcome] = refreshes.WithLabelValues(outcome.String(), id)
		}
		s.clients[id] = of
	}
	s.refused[refreshFailed] = refreshes.WithLabelValues(refreshFailed, "")
	for _, r := range refusals {
		s.refused[r.outcome] = refreshes.WithLabelValues(r.outcome, "")
	}

	thefts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "refresh_tokens_stolen_total",
		Help: "Stolen refresh tokens, by kind: presented when only a thief or the victim could have sent them.",
	}, []string{"kind"})
	for _, kind := range []sessionstore.Theft{sessionstore.Stale, sessionstore.Lockstep, sessionstore.Old, sessionstore.Unproven} {
		s.thefts[kind] = thefts.WithLabelValues(string(kind))
	}
	unavailable := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "database_errors_total",
		Help: "Operations on sessions that failed because the database failed or did not answer in time.",
	}, []string{"operation"})
	for _, operation := range sessionstore.Operations() {
		s.unavailable[operation] = unavailable.WithLabelValues(string(operation))
	}
	registry.MustRegister(created, revoked, refreshes, thefts, s.delayed, unavailable)
	return s
}

// Begin leaves the context unchanged.
func (s *sessions) Begin(ctx context.Context, _ sessionstore.Operation) context.Context { return ctx }

// End counts what was done.
func (s *sessions) End(_ context.Context, r sessionstore.Result) {
	if errors.Is(r.Err, sessionstore.ErrUnavailable) && !errors.Is(r.Err, context.Canceled) {
		if c := s.unavailable[r.Operation]; c != nil {
			c.Inc()
		}
	}
	s.revoked(r)
	if r.Replaced != uuid.Nil {
		s.of(r.ReplacedClientID).revoked[causeReplaced].Inc()
	}
	switch {
	case r.Operation == sessionstore.OperationRefresh:
		s.refreshed(r)
	case r.Operation == sessionstore.OperationCreate && r.Err == nil && r.Changed != uuid.Nil: // not one that was made before
		s.of(r.ClientID).created.Inc()
	}
}

// revoked counts the sessions that were ended by a caller, or by the limit.
func (s *sessions) revoked(r sessionstore.Result) {
	cause, of := causeAsked, r.ClientID
	if r.Operation == sessionstore.OperationCreate {
		cause, of = causeLimit, ""
	}
	one := r.Revoked
	for client, n := range r.RevokedByClient {
		s.of(client).revoked[cause].Add(float64(n))
		one -= n
	}
	s.of(of).revoked[cause].Add(float64(one))
}

// of counts for a client; one that is no longer configured counts as none.
func (s *sessions) of(client string) *ofClient {
	if of := s.clients[client]; of != nil {
		return of
	}
	return s.clients[""]
}

func (s *sessions) refreshed(r sessionstore.Result) {
	if r.Err == nil {
		if c := s.of(r.ClientID).given[r.Outcome]; c != nil {
			c.Inc()
		}
		return
	}
	if theft, ok := errors.AsType[*sessionstore.ReuseError](r.Err); ok {
		s.of(theft.ClientID).revoked[causeStolen].Inc()
		if c := s.thefts[theft.Theft]; c != nil {
			c.Inc()
		}
		if theft.ReportDelayed != nil {
			s.delayed.Inc()
		}
	}
	s.refused[refusal(r.Err)].Inc()
}

func refusal(err error) string {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.outcome
		}
	}
	return refreshFailed
}
