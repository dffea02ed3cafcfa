//go:build !race

package refresh

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
)

// named are the sequences that show the rules one by one. The results of their steps are filled
// in.
func named() []sequence {
	usual := vectorSettings{Grace: 15, LateRetryLimit: 8, AccessTokenTTL: 300, RefreshTokenTTL: 604_800}
	with := func(change func(*vectorSettings)) vectorSettings {
		s := usual
		change(&s)
		return s
	}
	present := func(at, generation int64) vectorStep {
		return vectorStep{At: at, Do: doPresent, Generation: new(generation)}
	}
	check := func(at, generation int64) vectorStep {
		return vectorStep{At: at, Do: doCheck, Generation: new(generation)}
	}
	confirm := func(at, generation int64) vectorStep {
		return vectorStep{At: at, Do: doConfirm, Generation: new(generation)}
	}
	at := func(at int64, do string) vectorStep { return vectorStep{At: at, Do: do} }
	proven := func(key string, s vectorStep) vectorStep { s.ProvenKey = key; return s }
	bound := func(s vectorStep) vectorStep { s.BoundTo = "K"; return s }
	shorter := func(s vectorStep) vectorStep { s.Grace = 5; return s } // the grace of the replica that answers
	sequenceOf := func(name string, s vectorSettings, steps ...vectorStep) sequence {
		return sequence{Name: name, Settings: s, Steps: steps}
	}
	return []sequence{
		sequenceOf("one refresh after the other", usual, present(290, 0), confirm(291, 1), present(580, 1), confirm(581, 2), present(870, 2)),
		sequenceOf("the first pair is not fresh: it has never been issued by a refresh", usual, present(1, 0)),
		sequenceOf("the newest token within three graces: the same pair", usual, present(290, 0), present(291, 1), present(334, 1), present(335, 1)),
		sequenceOf("a second tab, within a grace", usual, present(290, 0), present(291, 0), present(304, 0), present(304, 0)),
		sequenceOf("the answer was lost", usual, present(290, 0), present(305, 0), present(319, 0), present(320, 0)),
		sequenceOf("a late retry, days later", usual, present(290, 0), present(345_600, 0), confirm(345_601, 2), present(345_900, 1)),
		sequenceOf("a late retry after the token's own expiry", usual, present(290, 0), present(604_799, 0), present(604_800, 0)),
		sequenceOf("the first use ends the predecessor's time a grace later", usual, present(290, 0), confirm(400, 1), present(414, 0), present(415, 0), present(416, 1)),
		sequenceOf("a second use extends nothing", usual, present(290, 0), confirm(400, 1), confirm(410, 1), present(415, 0)),
		sequenceOf("presenting the newest token is a use, too", usual, present(290, 0), present(300, 1), present(314, 0), present(315, 0)),
		sequenceOf("uses count from five graces after the pair before was issued", usual,
			present(290, 0), present(335, 1), confirm(364, 2), confirm(365, 2), present(379, 1), present(380, 1)),
		sequenceOf("two generations behind", usual, present(290, 0), present(580, 1), present(581, 0), present(582, 2)),
		sequenceOf("late retries in every generation", with(func(s *vectorSettings) { s.LateRetryLimit = 2 }),
			present(290, 0), present(390, 0), present(580, 1), present(680, 1), present(780, 1), present(880, 2), present(980, 2)),
		sequenceOf("late retries, but not in a row", with(func(s *vectorSettings) { s.LateRetryLimit = 2 }),
			present(290, 0), present(390, 0), present(580, 1), present(680, 1), present(880, 2), present(1080, 3), present(1180, 3)),
		sequenceOf("a failover loses a rotation", usual, present(290, 0), at(300, doLag), present(580, 1), at(600, doFailOver), present(870, 2)),
		sequenceOf("a failover loses two rotations", usual, present(290, 0), at(300, doLag), present(580, 1), present(870, 2), at(900, doFailOver), present(1160, 3)),
		sequenceOf("a failover, and the row that is left has idled out", with(func(s *vectorSettings) { s.RefreshTokenTTL = 1000 }),
			at(1, doLag), present(900, 0), at(950, doFailOver), present(1100, 1)),
		sequenceOf("idle for too long", usual, present(604_799, 0), present(1_209_599, 1)),
		sequenceOf("the session's end caps its tokens", with(func(s *vectorSettings) { s.SessionEnd = new(int64(1000)) }),
			present(290, 0), present(900, 1), check(999, 2), check(1000, 2), present(1000, 2)),
		sequenceOf("a revoked session", usual, present(290, 0), at(300, doRevoke), check(300, 1), present(300, 1), present(301, 0), confirm(302, 1)),
		sequenceOf("a replaced access token", usual, present(290, 0), check(290, 1), check(290, 0), check(299, 0), present(500, 1), check(514, 1), check(514, 0), check(515, 1), check(515, 2)),
		sequenceOf("the use of a replaced access token confirms nothing", usual, present(290, 0), confirm(291, 0), present(580, 1)),
		sequenceOf("superseded access tokens", usual, present(290, 0), at(291, doSupersede), check(291, 1), check(291, 0), present(291, 1), check(291, 3)),
		sequenceOf("a pair that is handed out again has an access token that lasts", with(func(s *vectorSettings) { s.AccessTokenTTL = 40 }),
			present(290, 0), present(325, 1), present(326, 1), present(334, 1)),
		sequenceOf("two replicas, of which one has another grace", usual,
			present(290, 0), shorter(present(294, 0)), shorter(present(304, 0)), shorter(present(306, 1)), shorter(present(335, 1)), present(349, 2), present(350, 2)),
		sequenceOf("a session that is bound to a key at a refresh", usual,
			proven("K", present(290, 0)), bound(present(580, 1)), bound(proven("L", present(580, 1))), bound(proven("K", present(580, 1))),
			bound(present(900, 0)), bound(present(910, 1)), bound(proven("K", present(920, 1)))),
		sequenceOf("a token from before the session was bound, without the key", usual, proven("K", present(290, 0)), present(291, 0), bound(proven("K", present(292, 1)))),
		sequenceOf("a failover loses the refresh that bound the session", usual, at(1, doLag), proven("K", present(290, 0)), at(300, doFailOver), bound(present(580, 1)), bound(proven("K", present(581, 1)))),
	}
}

// issued are when the tokens of a session expire, by their generation.
type issued struct{ refresh, access map[int64]int64 }

func (i issued) note(s stored) {
	i.refresh[s.Generation] = s.ExpiresAt
	i.access[s.AccessGeneration] = s.AccessExpiresAt
}

func (i issued) of(s vectorStep) int64 {
	if s.Do == doPresent {
		return i.refresh[*s.Generation]
	}
	return i.access[*s.Generation]
}

// fill fills in the outcomes that our own implementation gives for a sequence.
func (s *sequence) fill() {
	v := ours.create(s.Settings)
	s.Created = store(v.pair)
	seen, lost := issued{map[int64]int64{}, map[int64]int64{}}, issued{}
	seen.note(s.Created)
	for n, step := range s.Steps {
		if step.Generation != nil && step.ExpiresAt == nil {
			step.ExpiresAt = new(seen.of(step))
			if step.Lost {
				step.ExpiresAt = new(lost.of(step))
			}
		}
		if step.Do == doFailOver {
			lost = issued{maps.Clone(seen.refresh), maps.Clone(seen.access)}
		}
		s.Steps[n] = v.take(step)
		if row := s.Steps[n].Stored; row != nil {
			seen.note(*row)
		}
	}
}

// harm is the shortest path to the harm that a mutant does, as a session sees it, up to where the mutant goes
// wrong.
func (s scenario) harm(i implementation, path []visit) sequence {
	found := sequence{Settings: vectorSettings{
		Grace: int64(s.grace), LateRetryLimit: int(s.lateRetryLimit), AccessTokenTTL: int64(s.accessToken), RefreshTokenTTL: int64(month / tick),
	}}
	var now int64
	var newest token
	for n := 1; n < len(path); n++ {
		before, a := path[n-1].world, path[n].action
		zero := newest
		newest.shift(a.moved)
		if a.kind == actTick {
			now++
		}
		if a.kind == actSetClock {
			now += int64(a.slot)
		}
		for _, step := range s.stepsOf(before, a, zero) {
			step.At = now
			if a.at.shorter != 0 {
				step.Grace = int64(s.grace - a.at.shorter)
			}
			found.Steps = append(found.Steps, step)
		}
		filled := found
		filled.fill()
		if wrong := i.differs(filled); wrong > 0 {
			filled.Steps = filled.Steps[:wrong]
			return filled
		}
	}
	return found
}

// stepsOf are those of a session in a step of the model, whose generations count from zero.
func (s scenario) stepsOf(before world, a action, zero token) []vectorStep {
	refresh := func(t token) vectorStep {
		return vectorStep{Do: doPresent, Generation: new(int64(zero.refresh + t.refresh))}
	}
	access := func(do string, t token) vectorStep {
		return vectorStep{Do: do, Generation: new(int64(zero.access + t.access)), Lost: t.lost}
	}
	turn := func(t token, recorded bool) []vectorStep {
		steps := []vectorStep{refresh(t)}
		if recorded {
			steps = append(steps, access(doConfirm, token{access: before.db.access + a.moved.access}))
		}
		return steps
	}
	switch a.kind {
	case actDeliver:
		switch m := before.inFlight[a.slot]; m.kind {
		case aRequest:
			return []vectorStep{refresh(m.token)}
		case aUse:
			return []vectorStep{access(doConfirm, m.token)}
		case anAnswer, noMessage:
		}
	case actSendUse:
		return []vectorStep{access(doCheck, before.store)}
	case actThiefRefreshes:
		return []vectorStep{refresh(before.thief)}
	case actThiefUses:
		return []vectorStep{access(doCheck, before.thief), access(doConfirm, before.thief)}
	case actVictim:
		return turn(before.store, true)
	case actVictimUnrecorded, actVictimUnanswered:
		return turn(before.store, false)
	case actThief:
		return turn(before.thief, s.thiefUses)
	case actStandbyLags:
		return []vectorStep{{Do: doLag}}
	case actFailOver:
		return []vectorStep{{Do: doFailOver}}
	case actRevoke:
		return []vectorStep{{Do: doRevoke}}
	case actSupersede:
		return []vectorStep{{Do: doSupersede}}
	case actTick, actSendRefresh, actLose, actSetClock, actRob:
	}
	return nil
}

func writeVectors(t *testing.T) {
	t.Helper()
	all := vectors{
		About:     "Test vectors of docs/refresh-protocol.md. Times are whole seconds by the database's clock, from the session's creation.",
		Sequences: named(),
	}
	for n := range all.Sequences {
		all.Sequences[n].fill()
	}
	for _, m := range mutants {
		i := m.world.implementation(m.decide)
		s := m.world
		s.decide = m.decide
		f := s.search()
		found := m.world.harm(i, f.path)
		found.Name = "notices: " + m.name
		if i.differs(found) == 0 {
			t.Errorf("the path to the harm is not a vector: %s\n%s", m.name, f)
			continue
		}
		all.Sequences = append(all.Sequences, found)
	}
	if err := os.WriteFile(vectorsFile, all.lines(t), 0o644); err != nil {
		t.Fatal(err)
	}
}

// lines are the vectors as JSON that shows a change line by line: one for each step.
func (v vectors) lines(t *testing.T) []byte {
	t.Helper()
	line := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var sequences []string
	for _, s := range v.Sequences {
		var steps []string
		for _, step := range s.Steps {
			steps = append(steps, "    "+line(step))
		}
		sequences = append(sequences, fmt.Sprintf("  {\"name\": %s,\n   \"settings\": %s,\n   \"created\": %s,\n   \"steps\": [\n%s\n  ]}",
			line(s.Name), line(s.Settings), line(s.Created), strings.Join(steps, ",\n")))
	}
	return fmt.Appendf(nil, "{\"about\": %s,\n \"sequences\": [\n%s\n]}\n", line(v.About), strings.Join(sequences, ",\n"))
}
