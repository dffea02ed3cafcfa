//go:build !race

package refresh

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The test vectors of docs/refresh-protocol.md are for independent implementations of the protocol: sequences of what
// happens to one session, with the required result of each step. To regenerate them:
//
//	go test ./internal/refresh -run Vectors -update
const vectorsFile = "../../docs/refresh-protocol/vectors.json"

var update = flag.Bool("update", false, "make the test vectors anew")

type vectors struct {
	About     string     `json:"about"`
	Sequences []sequence `json:"sequences"`
}

// sequence is what happens to a session that is created at 0. All times are whole seconds by the database's clock, counted
// from then.
type sequence struct {
	Name     string         `json:"name"`
	Settings vectorSettings `json:"settings"`
	Created  stored         `json:"created"`
	Steps    []vectorStep   `json:"steps"`
}

type vectorSettings struct {
	Grace           int64  `json:"grace"`
	LateRetryLimit  int    `json:"late_retry_limit"`
	AccessTokenTTL  int64  `json:"access_token_ttl"`
	RefreshTokenTTL int64  `json:"refresh_token_ttl"`
	SessionEnd      *int64 `json:"session_end,omitempty"`
}

type vectorStep struct {
	At int64  `json:"at"`
	Do string `json:"do"`
	// Of the token that is presented, checked or confirmed.
	Generation *int64 `json:"generation,omitempty"`
	ExpiresAt  *int64 `json:"expires_at,omitempty"`
	BoundTo    string `json:"bound_to,omitempty"`
	ProvenKey  string `json:"proven_key,omitempty"`
	// Grace is that of the replica which answers, where it is not the settings'.
	Grace int64 `json:"grace,omitempty"`
	// Lost is that of a token which a failover has lost. Another one may have its number since.
	Lost bool `json:"-"`

	// The required outcome.
	Outcome  string  `json:"outcome,omitempty"`
	Theft    Theft   `json:"theft,omitempty"`
	Accepted *bool   `json:"accepted,omitempty"`
	Stored   *stored `json:"stored,omitempty"` // afterwards
}

// stored is a pair's row.
type stored struct {
	Generation          int64  `json:"generation"`
	AccessGeneration    int64  `json:"access_generation"`
	CreatedAt           int64  `json:"created_at"`
	IssuedAt            *int64 `json:"issued_at"`
	Grace               *int64 `json:"grace"`
	SettledAt           *int64 `json:"settled_at"`
	ConfirmedAt         *int64 `json:"confirmed_at"`
	ExpiresAt           int64  `json:"expires_at"`
	AccessExpiresAt     int64  `json:"access_expires_at"`
	LateRetryGeneration int64  `json:"late_retry_generation"`
	LateRetries         int    `json:"late_retries"`
	BoundTo             string `json:"bound_to,omitempty"`
	Revoked             bool   `json:"revoked"`
}

// The steps of a sequence.
const (
	doPresent   = "present"   // a refresh token
	doCheck     = "check"     // an access token, strictly
	doConfirm   = "confirm"   // the use of an access token is recorded
	doSupersede = "supersede" // the access tokens
	doRevoke    = "revoke"    // the session
	doLag       = "lag"       // a standby falls behind …
	doFailOver  = "fail over" // … and takes over
)

func inSeconds(t time.Time) int64 { return int64(t.Sub(modelNow) / time.Second) }

func inSecondsOrNull(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return new(inSeconds(t))
}

func atSecond(n int64) time.Time { return modelNow.Add(time.Duration(n) * time.Second) }

func store(p Pair) stored {
	row := stored{
		Generation: p.Generation, AccessGeneration: p.AccessGeneration, CreatedAt: inSeconds(p.CreatedAt), IssuedAt: inSecondsOrNull(p.IssuedAt),
		SettledAt: inSecondsOrNull(p.SettledAt), ConfirmedAt: inSecondsOrNull(p.ConfirmedAt), ExpiresAt: inSeconds(p.ExpiresAt),
		AccessExpiresAt: inSeconds(p.AccessExpiresAt), LateRetryGeneration: p.LateRetryGeneration, LateRetries: p.LateRetries,
		BoundTo: p.BoundTo, Revoked: p.Revoked,
	}
	if p.Grace != 0 {
		row.Grace = new(int64(p.Grace / time.Second))
	}
	return row
}

// implementation is one of the protocol: ours, or a mutant of it.
type implementation struct {
	decide                func(Pair, Keys, Presented, time.Time, Rules) Decision
	accepts               accepter
	supersededBy          int64
	byNumber, oldConfirms bool
	ignoresKeys           bool
}

var ours = implementation{decide: Decide, accepts: Rules.AcceptsAccess, supersededBy: SupersededBy}

// of is the implementation that a scenario of the model check breaks.
func (s scenario) implementation(d decider) implementation {
	i := implementation{accepts: s.accepts, supersededBy: SupersededBy, byNumber: s.byNumber, oldConfirms: s.oldConfirms, ignoresKeys: true}
	i.decide = func(p Pair, _ Keys, t Presented, now time.Time, r Rules) Decision { return d(p, t, now, r) }
	if s.supersedes != 0 {
		i.supersededBy = int64(s.supersedes)
	}
	return i
}

// session is one that an implementation holds.
type session struct {
	implementation
	rules         Rules
	pair, standby Pair
}

func (i implementation) create(s vectorSettings) *session {
	ttl := func(seconds int64) time.Duration { return time.Duration(seconds) * time.Second }
	v := &session{implementation: i}
	v.rules = Rules{Grace: ttl(s.Grace), LateRetryLimit: s.LateRetryLimit, Defaults: Lifetimes{AccessToken: ttl(s.AccessTokenTTL), RefreshToken: ttl(s.RefreshTokenTTL)}}
	v.pair = Pair{CreatedAt: modelNow}
	if s.SessionEnd != nil {
		v.pair.End = atSecond(*s.SessionEnd)
	}
	v.pair.AccessExpiresAt, v.pair.ExpiresAt = v.pair.capped(atSecond(s.AccessTokenTTL)), v.pair.capped(atSecond(s.RefreshTokenTTL))
	return v
}

// take executes a step, and returns it with its outcome.
func (v *session) take(step vectorStep) vectorStep {
	now, p, r := atSecond(step.At), &v.pair, v.rules
	if step.Grace != 0 {
		r.Grace = time.Duration(step.Grace) * time.Second
	}
	step.Outcome, step.Theft, step.Accepted, step.Stored = "", "", nil, nil
	switch step.Do {
	case doPresent:
		d := v.decide(*p, Keys{Token: step.BoundTo, Proven: step.ProvenKey}, Presented{Generation: *step.Generation, ExpiresAt: atSecond(*step.ExpiresAt)}, now, r)
		*p = d.Next
		p.Revoked = p.Revoked || d.Outcome == Stolen
		step.Outcome, step.Theft = d.Outcome.String(), d.Theft
	case doCheck:
		isOver := p.Revoked || !now.Before(p.ExpiresAt) || !now.Before(atSecond(*step.ExpiresAt))
		step.Accepted = new(!isOver && v.accepts(r.Of(p.Grace), *step.Generation, p.AccessGeneration, p.MintedAt(), now))
		return step
	case doConfirm:
		isNewest := *step.Generation == p.AccessGeneration && (v.byNumber || inSeconds(p.AccessExpiresAt) == *step.ExpiresAt)
		isNewest = isNewest || v.oldConfirms && *step.Generation == p.AccessGeneration-1
		if isNewest && !p.Revoked && p.usesCount(now) && p.ConfirmedAt.IsZero() {
			p.ConfirmedAt = now
		}
	case doSupersede:
		p.AccessGeneration += v.supersededBy
	case doRevoke:
		p.Revoked = true
	case doLag:
		v.standby = *p
		return step
	case doFailOver:
		v.standby.Revoked = v.standby.Revoked || p.Revoked // a failover loses no revocation
		*p = v.standby
	}
	step.Stored = new(store(*p))
	return step
}

// differs returns after how many steps of the sequence an implementation goes wrong; zero if it never does.
func (i implementation) differs(s sequence) int {
	usesKeys := func(step vectorStep) bool { return step.ProvenKey != "" || step.BoundTo != "" }
	if i.ignoresKeys && slices.ContainsFunc(s.Steps, usesKeys) {
		return 0
	}
	v := i.create(s.Settings)
	for n, step := range s.Steps {
		if !cmp.Equal(v.take(step), step) {
			return n + 1
		}
	}
	return 0
}

func TestModelCheckVectors(t *testing.T) {
	t.Parallel()
	if *update {
		writeVectors(t)
	}
	all := readVectors(t)
	outcomes := map[string]bool{}
	for _, s := range all.Sequences {
		v := ours.create(s.Settings)
		if diff := cmp.Diff(s.Created, store(v.pair)); diff != "" {
			t.Errorf("%s: created: %s", s.Name, diff)
		}
		for _, step := range s.Steps {
			if diff := cmp.Diff(step, v.take(step)); diff != "" {
				t.Errorf("%s: at %d: %s", s.Name, step.At, diff)
			}
			outcomes[step.Outcome+string(step.Theft)] = true
		}
	}
	for o := Refused; o <= Healed; o++ {
		if o != Stolen && !outcomes[o.String()] {
			t.Errorf("nothing is %v", o)
		}
	}
	for _, theft := range []Theft{Stale, Lockstep, Old, Unproven} {
		if !outcomes[Stolen.String()+string(theft)] {
			t.Errorf("nothing is %v: %v", Stolen, theft)
		}
	}
	for _, m := range mutants {
		i := m.world.implementation(m.decide)
		if !slices.ContainsFunc(all.Sequences, func(s sequence) bool { return i.differs(s) > 0 }) {
			t.Errorf("no vector notices this mutant: %s", m.name)
		}
	}
}

func readVectors(t *testing.T) (all vectors) {
	t.Helper()
	content, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
