package sessiontest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// recorder is a T whose Fatalf panics with a failure.
type recorder struct{ ctx context.Context }

type failure struct{ reason string }

func (recorder) Helper() {}

func (r recorder) Context() context.Context { return r.ctx }

func (r recorder) Fatalf(format string, args ...any) {
	panic(failure{fmt.Sprintf(format, args...)})
}

// fails runs a check and returns why it failed; empty where it passed.
func fails(ctx context.Context, c check, h Harness) (why string) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			why = p.reason
		default:
			panic(p)
		}
	}()
	c.does(newKit(recorder{ctx}, h))
	return ""
}

type (
	mem     = *memstore.Store
	session = sessionstore.Session
	pair    = sessionstore.TokenPair
	params  = sessionstore.CreateParams
)

// Each mutant is a store that breaks one promise.
var mutants = []struct {
	name     string
	store    func(mem) sessionhttp.Store
	caughtBy string // one of the checks that find it
}{
	{"writes whatever was read", func(m mem) sessionhttp.Store { return blindWrites{m} }, "Update/what was changed since"},
	{"writes whatever was read, but not at once", newRacyWrites, "Update/by many at once"},
	{"does not say what is stored at a conflict", func(m mem) sessionhttp.Store { return bareConflicts{m} }, "Update/what was changed since"},
	{"writes to what has ended", func(m mem) sessionhttp.Store { return writesToEnded{m} }, "Invalidate/all of a session"},
	{"takes spaces for a change", func(m mem) sessionhttp.Store { return comparesBytes{m} }, "Update/nothing new"},
	{"takes nothing for data", func(m mem) sessionhttp.Store { return nothingIsData{m} }, "Update/what cannot be"},
	{"loses a write", func(m mem) sessionhttp.Store { return losesWrites{m} }, "Update/what was read"},
	{"replays nothing", func(m mem) sessionhttp.Store { return &replaysNothing{mem: m} }, "RefreshTokens/again, at once"},
	{"answers with a refresh token of its own at a replay", func(m mem) sessionhttp.Store { return newTokenAtReplay{m} }, "RefreshTokens/again, at once"},
	{"rotates for each of many", func(m mem) sessionhttp.Store { return rotatesForAll{m} }, "RefreshTokens/by many at once"},
	{"takes old refresh tokens", func(m mem) sessionhttp.Store { return &takesOld{mem: m} }, "theft/an older token"},
	{"notices theft and does nothing", func(m mem) sessionhttp.Store { return &harmlessTheft{mem: m} }, "theft/the predecessor of a pair in use"},
	{"calls theft an end", func(m mem) sessionhttp.Store { return quietTheft{m} }, "theft/one step behind"},
	{"confirms each use", func(m mem) sessionhttp.Store { return confirmsAll{m} }, "use/by a server on its behalf"},
	{"confirms no use", func(m mem) sessionhttp.Store { return confirmsNone{m} }, "use/by its client"},
	{"confirms before it asks", func(m mem) sessionhttp.Store { return confirmsFirst{m} }, "use/that a check refuses"},
	{"asks no check", func(m mem) sessionhttp.Store { return asksNothing{m} }, "GetWith/a caller's check"},
	{"takes access tokens forever once seen", func(m mem) sessionhttp.Store { return &remembersAccess{mem: m} }, "GetWith/a token that was replaced"},
	{"takes expired access tokens", func(m mem) sessionhttp.Store { return takesExpired{m} }, "GetWith/a token that has expired"},
	{"does not tell invalid tokens from unknown sessions", func(m mem) sessionhttp.Store { return vague{m} }, "GetWith/what is no access token"},
	{"fails to tell invalid refresh tokens from an outage", func(m mem) sessionhttp.Store { return outage{m} }, "RefreshTokens/what is no refresh token"},
	{"loses a revocation", func(m mem) sessionhttp.Store { return losesRevocations{m} }, "Invalidate/all of a session"},
	{"loses a revocation's cause", func(m mem) sessionhttp.Store { return losesCauses{m} }, "Invalidate/all of a session"},
	{"revokes once more", func(m mem) sessionhttp.Store { return failsAgain{m} }, "Invalidate/again"},
	{"goes on within the grace after a revocation", func(m mem) sessionhttp.Store { return &graceAfterEnd{mem: m} }, "Invalidate/within the grace"},
	{"knows no sessions to revoke", func(m mem) sessionhttp.Store { return revokesUnknown{m} }, "Invalidate/what cannot be"},
	{"forgets idempotency keys", func(m mem) sessionhttp.Store { return forgetsKeys{m} }, "Create/idempotency key"},
	{"forgets idempotency keys at once", func(m mem) sessionhttp.Store { return forgetsKeys{m} }, "Create/idempotency key, at once"},
	{"takes a key for the request", func(m mem) sessionhttp.Store { return &keyIsAll{mem: m} }, "Create/idempotency key"},
	{"cuts subjects", func(m mem) sessionhttp.Store { return cutsSubjects{m} }, "Create/what cannot be"},
	{"fills in data", func(m mem) sessionhttp.Store { return fillsIn{m} }, "Create/nothing"},
	{"forgets lifetimes", func(m mem) sessionhttp.Store { return forgetsLifetimes{m} }, "Create/lifetimes of its own"},
	{"forgets the absolute end", func(m mem) sessionhttp.Store { return forgetsEnd{m} }, "expiry/of what is refreshed"},
	{"gives everyone a refresh token", func(m mem) sessionhttp.Store { return alwaysRefresh{m} }, "Create/without a refresh token"},
	{"forgets claims", func(m mem) sessionhttp.Store { return forgetsClaims{m} }, "Create/what it is given"},
	{"forgets who acts", func(m mem) sessionhttp.Store { return forgetsActor{m} }, "Create/what it is given"},
	{"forgets the cookie", func(m mem) sessionhttp.Store { return forgetsCookie{m} }, "Create/what it is given"},
	{"forgets the client", func(m mem) sessionhttp.Store { return forgetsClient{m} }, "Create/what it is given"},
	{"forgets the client that refreshes", func(m mem) sessionhttp.Store { return forgetsRefresher{m} }, "RefreshTokens/a new pair"},
	{"forgets keys of clients", func(m mem) sessionhttp.Store { return forgetsBinding{m} }, "binding/without a proof"},
	{"believes each proof", func(m mem) sessionhttp.Store { return believesProofs{m} }, "binding/with a proof"},
	{"hands out its own memory", func(m mem) sessionhttp.Store { return &sharesMemory{mem: m} }, "Create/data is the caller's"},
	{"replaces without ending", func(m mem) sessionhttp.Store { return replacesTwice{m} }, "Replace/a new session"},
	{"ends before it replaces", func(m mem) sessionhttp.Store { return endsFirst{m} }, "Replace/what cannot be"},
	{"replaces whatever was read", func(m mem) sessionhttp.Store { return blindReplaces{m} }, "Replace/what was changed since"},
	{"replaces without the data", func(m mem) sessionhttp.Store { return losesDataAtReplace{m} }, "Replace/a new session"},
	{"replaces with the data of before", func(m mem) sessionhttp.Store { return keepsDataAtReplace{m} }, "Replace/with data of its own"},
	{"replaces once for each caller", func(m mem) sessionhttp.Store { return replacesTwice{m} }, "Replace/by many at once"},
	{"replaces once and knows nothing of it", func(m mem) sessionhttp.Store { return &replacesOnce{mem: m} }, "Replace/again"},
	{"lists what has ended", func(m mem) sessionhttp.Store { return listsAll{m} }, "List/a subject's live sessions"},
	{"ends everything everywhere", func(m mem) sessionhttp.Store { return keepsNone{m} }, "InvalidateSubject/everywhere"},
	{"patches for once", func(m mem) sessionhttp.Store { return patchesNothing{m} }, "Patch/lifetimes and label"},
	{"patches what has ended", func(m mem) sessionhttp.Store { return patchesNothing{m} }, "Patch/what cannot be"},
	{"sets claims for once", func(m mem) sessionhttp.Store { return setsNothing{m} }, "SetClaims/with the next token"},
	{"supersedes nothing", func(m mem) sessionhttp.Store { return supersedesNothing{m} }, "SetClaims/at once"},
	{"sets claims whatever was read", func(m mem) sessionhttp.Store { return setsBlindly{m} }, "SetClaims/what cannot be"},
	{"revokes by access tokens only", func(m mem) sessionhttp.Store { return revokesAccess{m} }, "RevokeToken/either token"},
}

func TestSuiteFindsMutants(t *testing.T) {
	t.Parallel()
	byName := map[string]check{}
	for _, c := range checks() {
		byName[c.name] = c
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			c, isThere := byName[m.caughtBy]
			if !isThere {
				t.Fatalf("there is no check %q", m.caughtBy)
			}
			if why := fails(t.Context(), c, inMemory(func(s mem) sessionhttp.Store { return s })); why != "" {
				t.Fatalf("the check fails for a good store: %s", why)
			}
			why := fails(t.Context(), c, inMemory(m.store))
			if why == "" {
				t.Fatalf("%q passes", m.caughtBy)
			}
			t.Log(why)
		})
	}
}

// Each check finds a mutant, or a store whose clock is stopped: none of them is useless.
func TestEachCheckFindsSomething(t *testing.T) {
	t.Parallel()
	finds := map[string]bool{}
	for _, m := range mutants {
		finds[m.caughtBy] = true
	}
	for _, c := range checks() {
		h := inMemory(func(s mem) sessionhttp.Store { return s })
		h.Advance = func(time.Duration) {}
		if why := fails(t.Context(), c, h); why == "" && !finds[c.name] {
			t.Errorf("%q finds nothing", c.name)
		}
	}
}

func inMemory(with func(mem) sessionhttp.Store) Harness {
	clock := NewClock()
	cfg := sessionstore.Config{}
	cfg.Tokens.Now = clock.Now
	return Harness{Store: with(memstore.MustNew(cfg)), Advance: clock.Advance}
}
