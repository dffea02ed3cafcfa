package sessiontest

import (
	"cmp"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// check is a part of the suite.
type check struct {
	name string
	does func(k kit)
}

// kit is what a check uses.
type kit struct {
	T

	store   sessionhttp.Store
	grace   time.Duration
	limit   int
	advance func(time.Duration)

	keysOfSubject bool
}

func newKit(t T, h Harness) kit {
	k := kit{T: t, store: h.Store, grace: h.Grace, limit: h.LateRetryLimit, advance: h.Advance, keysOfSubject: h.KeysOfSubject}
	k.grace = cmp.Or(k.grace, sessionstore.DefaultGrace)
	k.limit = cmp.Or(k.limit, sessionstore.DefaultLateRetryLimit)
	if k.advance == nil {
		k.advance = time.Sleep
	}
	return k
}

// In graces, as docs/refresh.md has them: from when on a pair is no longer fresh, and from
// when on a use of its successor counts.
const (
	freshGraces  = 3
	settleGraces = 5
)

// client is the client of refreshes.
var client = sessionstore.Client{UserAgent: "suite/2", IP: "192.0.2.2"}

// ok ends the check if a call failed that must not.
func (k kit) ok(call string, err error) {
	k.Helper()
	if err != nil {
		k.Fatalf("%s: %v", call, err)
	}
}

// want ends the check if a call did not fail as it must.
func (k kit) want(call string, err, target error) {
	k.Helper()
	if !errors.Is(err, target) {
		k.Fatalf("%s: the error is %v, it must be %v", call, err, target)
	}
}

// wantArgument requires an [sessionstore.ArgumentError] of the field.
func (k kit) wantArgument(call string, err error, field string) {
	k.Helper()
	if e, ok := errors.AsType[*sessionstore.ArgumentError](err); !ok || e.Field != field {
		k.Fatalf("%s: the error is %v, it must be an ArgumentError of %q", call, err, field)
	}
}

// same ends the check if two values differ that must not.
func same[V comparable](k kit, what string, got, want V) {
	k.Helper()
	if got != want {
		k.Fatalf("%s: %v, it must be %v", what, got, want)
	}
}

// sameContent compares JSON: stores may format it differently.
func (k kit) sameContent(what string, got []byte, want string) {
	k.Helper()
	gotSum, err := sessionstore.Checksum(got)
	k.ok(what, err)
	wantSum, err := sessionstore.Checksum([]byte(want))
	k.ok(what, err)
	if gotSum != wantSum {
		k.Fatalf("%s: %s, it must be %s", what, got, want)
	}
}

// sameTime compares times to the microsecond, which is PostgreSQL's resolution.
func (k kit) sameTime(what string, got, want time.Time) {
	k.Helper()
	if !got.Round(time.Microsecond).Equal(want.Round(time.Microsecond)) {
		k.Fatalf("%s: %v, it must be %v", what, got, want)
	}
}

func (k kit) create(params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair) {
	k.Helper()
	session, pair, err := k.store.Create(k.Context(), params)
	k.ok("Create", err)
	return session, pair
}

// ann makes a session of subject "ann".
func (k kit) ann() (sessionstore.Session, sessionstore.TokenPair) {
	k.Helper()
	return k.create(sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"n":1}`)})
}

func (k kit) exchange(token tokens.Secret) (sessionstore.Refreshed, error) {
	return k.store.RefreshTokens(k.Context(), string(token), client)
}

// refresh requires an outcome, and returns the pair.
func (k kit) refresh(token tokens.Secret, want sessionstore.Outcome) sessionstore.TokenPair {
	k.Helper()
	got, err := k.exchange(token)
	if err != nil {
		k.Fatalf("RefreshTokens: %v, the outcome must be %v", err, want)
	}
	same(k, "the outcome of RefreshTokens", got.Outcome, want)
	return got.Pair
}

// refused requires an error of a refresh.
func (k kit) refused(token tokens.Secret, want error) {
	k.Helper()
	got, err := k.exchange(token)
	k.want("RefreshTokens", err, want)
	same(k, "the pair with an error of RefreshTokens", got.Pair, sessionstore.TokenPair{})
}

func (k kit) get(token tokens.Secret, options sessionstore.GetOptions) (sessionstore.Session, tokens.Claims, error) {
	return k.store.GetWith(k.Context(), string(token), options)
}

// use requires an access token to be valid, as its client's own use.
func (k kit) use(token tokens.Secret) sessionstore.Session {
	k.Helper()
	session, _, err := k.get(token, sessionstore.GetOptions{})
	k.ok("GetWith", err)
	return session
}

// peek is use for a server that does not know whether the client has the token.
func (k kit) peek(token tokens.Secret) {
	k.Helper()
	_, _, err := k.get(token, sessionstore.GetOptions{Unconfirmed: true})
	k.ok("GetWith, unconfirmed", err)
}

func (k kit) unusable(token tokens.Secret, want error) {
	k.Helper()
	session, claims, err := k.get(token, sessionstore.GetOptions{})
	k.want("GetWith", err, want)
	if session.ID != uuid.Nil || claims.SessionID != uuid.Nil {
		k.Fatalf("GetWith: a session and claims with the error %v", err)
	}
}

func (k kit) load(id uuid.UUID) sessionstore.Session {
	k.Helper()
	session, err := k.store.Load(k.Context(), id)
	k.ok("Load", err)
	return session
}

// ended requires a session to be over: whatever is tried with it fails, and Load, if it
// still has the session, says how it ended.
func (k kit) ended(id uuid.UUID, pair sessionstore.TokenPair, how sessionstore.Cause) {
	k.Helper()
	_, err := k.exchange(pair.RefreshToken)
	isUnproven := pair.KeyThumbprint != "" && errors.Is(err, sessionstore.ErrNotProven) // which can be decided without the session
	if !isOver(err) && !isUnproven {
		k.Fatalf("RefreshTokens of an ended session: the error is %v, it must be ErrEnded or ErrNotFound", err)
	}
	if _, _, err := k.get(pair.AccessToken, sessionstore.GetOptions{}); !isOver(err) {
		k.Fatalf("GetWith of an ended session: the error is %v, it must be ErrEnded or ErrNotFound", err)
	}
	if _, err := k.store.Update(k.Context(), id, "another", []byte(`{"late":true}`)); !isOver(err) {
		k.Fatalf("Update of an ended session: the error is %v, it must be ErrEnded or ErrNotFound", err)
	}
	session, err := k.store.Load(k.Context(), id)
	if errors.Is(err, sessionstore.ErrNotFound) {
		return
	}
	k.ok("Load of an ended session", err)
	same(k, "how Load says that the session ended", session.Ended.Cause, how)
	if session.Ended.At.IsZero() {
		k.Fatalf("Load: the session has ended, but not at any time")
	}
}

func isOver(err error) bool {
	return errors.Is(err, sessionstore.ErrEnded) || errors.Is(err, sessionstore.ErrNotFound)
}

// lives requires a session to continue.
func (k kit) lives(id uuid.UUID, pair sessionstore.TokenPair) {
	k.Helper()
	session := k.use(pair.AccessToken)
	same(k, "the id of the session of an access token", session.ID, id)
	if session.Ended != (sessionstore.Ending{}) || !session.RevokedAt.IsZero() {
		k.Fatalf("a live session has ended: %+v", session.Ended)
	}
}

// short are the shortest lifetimes that the grace allows.
func (k kit) short() sessionstore.Lifetimes {
	access := (freshGraces*k.grace + time.Second).Truncate(time.Second) + time.Second
	return sessionstore.Lifetimes{AccessToken: access, RefreshToken: access + 2*time.Second}
}
