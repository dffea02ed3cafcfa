//go:build !race

package refresh

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// The search: breadth first, so that the first violation has the shortest trace.

// findings are what a search found.
type findings struct {
	states    int
	depth     int  // the most steps to any of them
	complete  bool // no step leads to a state that was not visited
	violation string
	path      []visit // to the violation, from the start on
	trace     []string
	// For scenario.turns: the most that it took to distinguish victim and thief.
	turns, generations int8
}

// visit is a visited state and how it was first reached.
type visit struct {
	world  world
	from   int32
	action action
}

// maxStates ends a search that would take all memory.
const maxStates = 20_000_000

func (s scenario) search() findings {
	seed := maphash.MakeSeed()
	start := world{db: firstRow, rested: s.spacing}.canonical(s.settings)
	visits := []visit{{world: start, from: -1}}
	known := map[uint64]struct{}{maphash.Comparable(seed, start): {}}
	var f findings

	at := 0
	for end := 1; at < end && f.violation == "" && len(visits) < maxStates; end = len(visits) {
		f.depth++
		for ; at < end && f.violation == ""; at++ {
			s.steps(visits[at].world, func(a action, next world) {
				if f.violation != "" {
					return
				}
				hash := maphash.Comparable(seed, next)
				if _, ok := known[hash]; ok && a.violation == "" {
					return
				}
				known[hash] = struct{}{}
				visits = append(visits, visit{next, int32(at), a})
				f.violation = a.violation
				f.turns, f.generations = max(f.turns, next.turns), max(f.generations, next.parting)
			})
		}
	}
	f.states, f.complete = len(visits), at == len(visits)
	if f.violation != "" {
		f.path = pathTo(visits)
		f.trace = s.trace(f.path)
	} else if f.complete {
		f.depth-- // the last steps led nowhere new
	}
	return f
}

// pathTo is how the last of the visits came to be, from the start on.
func pathTo(visits []visit) (path []visit) {
	for i := int32(len(visits) - 1); i >= 0; i = visits[i].from {
		path = append(path, visits[i])
	}
	slices.Reverse(path)
	return path
}

// trace describes it in words.
func (s scenario) trace(path []visit) []string {
	var lines []string
	var row token // counted from the start
	ticks := 0
	for n, v := range path[1:] {
		row.shift(v.action.moved)
		if v.action.kind == actTick {
			ticks++
			continue
		}
		before := path[n].world
		zero := token{refresh: row.refresh - v.action.moved.refresh, access: row.access - v.action.moved.access}
		line := fmt.Sprintf("%3d  %s", ticks, describe(before, v.action, zero))
		if v.action.presented {
			line += fmt.Sprintf(": %v, the row is at %d/%d", v.action.outcome, row.refresh, row.access)
		}
		lines = append(lines, line)
	}
	return lines
}

// describe says in words what is done to a world whose generations count from zero.
func describe(w world, a action, zero token) string {
	var m message
	if a.kind == actDeliver || a.kind == actLose {
		m = w.inFlight[a.slot]
	}
	pair := func(t token) string { return fmt.Sprintf("%d/%d", zero.refresh+t.refresh, zero.access+t.access) }
	switch a.kind {
	case actTick:
		return "a tick passes"
	case actSendRefresh:
		return fmt.Sprintf("a tab sends refresh token %d", zero.refresh+w.store.refresh)
	case actSendUse:
		return "a tab uses the access token of " + pair(w.store)
	case actDeliver:
		switch m.kind {
		case aRequest:
			return fmt.Sprintf("refresh token %d arrives", zero.refresh+m.token.refresh)
		case anAnswer:
			return fmt.Sprintf("the answer %s arrives", pair(m.token))
		case aUse:
			return fmt.Sprintf("the use of %s is recorded", pair(m.token))
		case noMessage:
		}
	case actLose:
		return fmt.Sprintf("%s is lost", [...]string{"nothing", "a request", "an answer", "the record of a use"}[m.kind])
	case actStandbyLags:
		return "from now on the standby lags behind"
	case actFailOver:
		return "failover: the row is at " + pair(w.standby.token)
	case actSetClock:
		return fmt.Sprintf("the database's clock is set by %+d ticks", a.slot)
	case actRevoke:
		return "the session is revoked"
	case actSupersede:
		return "the access tokens are superseded"
	case actRob:
		return "a thief copies the store: " + pair(w.store)
	case actThiefRefreshes, actThief:
		return fmt.Sprintf("the thief presents %d", zero.refresh+w.thief.refresh)
	case actThiefUses:
		return "the thief uses the access token of " + pair(w.thief)
	case actVictim:
		return fmt.Sprintf("the victim presents %d, then uses the access token", zero.refresh+w.store.refresh)
	case actVictimUnrecorded:
		return fmt.Sprintf("the victim presents %d, then uses the access token, which is not recorded", zero.refresh+w.store.refresh)
	case actVictimUnanswered:
		return fmt.Sprintf("the victim presents %d and gets no answer", zero.refresh+w.store.refresh)
	}
	return ""
}

func (f findings) String() string {
	scope := "all states"
	if !f.complete {
		scope = "not all states"
	}
	text := fmt.Sprintf("%s: %d, depth %d", scope, f.states, f.depth)
	if f.violation != "" {
		text += fmt.Sprintf("; %s\n%s", f.violation, strings.Join(f.trace, "\n"))
	}
	return text
}
