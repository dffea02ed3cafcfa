package report

import (
	"fmt"

	"github.com/latchkey-sessions/latchkey/bench/internal/stats"
	"github.com/latchkey-sessions/latchkey/bench/rivals"
)

// Target is something that is to be reached, and what was measured of it.
type Target struct {
	What, Wanted, Measured string
	Reached                bool
	// Unknown means that it was not measured in this run.
	Unknown bool
	// Distance says what is between the two, where it is not reached.
	Distance string
}

// Verdict is a word for it.
func (t Target) Verdict() string {
	switch {
	case t.Unknown:
		return "not measured"
	case t.Reached:
		return "yes"
	default:
		return "no"
	}
}

const (
	smallest, largest = 10_000, 10_000_000
	memoryLimit       = 100 << 20
	startLimit        = 300.0
	tripsLimit        = 1.0
	refusalLimit      = 50.0
	millionLimit      = 64 << 20
	cleanupCostLimit  = 1.25
	cleanupP99Limit   = 2.0
)

// Targets judges the results.
func Targets(r Results) []Target {
	targets := []Target{
		r.share("create through the packages, of its statement alone", 0.90, r.rows(Packages, Create, ""), r.rows(Bare, Create, "")).
			because("the access token's Ed25519 signature first of all, then ids, the checksum and the refresh token's MAC"),
		r.share("get through the packages, of its statement alone ("+Seen+")", 0.90, r.rows(Packages, Get, Seen), r.rows(Bare, Get, "")),
		r.share("get through the packages, of its statement alone ("+NotSeen+")", 0.90, r.rows(Packages, Get, NotSeen), r.rows(Bare, Get, "")).
			because("the token's Ed25519 signature, which is made once more to be compared, some 17 µs; that is done once for each token, the next request with it is the line above"),
		r.share("refresh through the packages, of its statement alone", 0.90, r.rows(Packages, Refresh, ""), r.rows(Bare, Refresh, "")),
		r.share("refresh through the packages, of a "+OneRow, 0.65, r.rows(Packages, Refresh, ""), r.rows(Limit, OneRow, "")),
		r.share("refresh over HTTP, of the packages", 0.75, r.rows(HTTP, Refresh, ""), r.rows(Packages, Refresh, "")).
			because("HTTP itself. Of what it adds to the processor time of one refresh, our handlers with form, JSON and access log are less than a third in a profile; the rest is net/http, the kernel's sockets, goroutines that wait and wake, and the load generator, and all share the cores with PostgreSQL. An empty handler and its load alone take some 30 µs of the two cores, the packages and PostgreSQL 60 to 80. Sharing statements makes both faster, and the packages more"),
		r.share("get with 10 million sessions, of 10 thousand ("+Seen+")", 0.85, r.sized(Get, Seen, largest), r.sized(Get, Seen, smallest)).
			because("memory. The tables of 10 million sessions are larger than shared_buffers, and each get reads four pages of them that no processor's cache has, nor its table of pages; the bare statement loses as much, and huge pages give some of it back. The less the rest of a get costs, the more of it this is"),
		r.share("get with 10 million sessions, of 10 thousand ("+NotSeen+")", 0.85, r.sized(Get, NotSeen, largest), r.sized(Get, NotSeen, smallest)).
			because("the same, beside the check of the token's signature, which no size of the table changes"),
		r.share("refresh with 10 million sessions, of 10 thousand", 0.85, r.sized(Refresh, "", largest), r.sized(Refresh, "", smallest)),
		r.share("a token that was accepted before at the edge, of the handler without a check", 0.90, r.grouped(EdgeGroup, Edge, Accept, Seen), r.grouped(EdgeGroup, Limit, Unchecked, "")).
			because("the token's SHA-256, two look-ups and the copy of the request that carries the claims: about 1 µs where one token comes again and again. Here 10,000 come in turn, and what is remembered of them has to be fetched from memory each time, in a process that otherwise lives in its processor's cache"),
		r.share("a token that comes for the first time, of golang-jwt's signature check alone", 0.90, r.grouped(EdgeGroup, Edge, Accept, NotSeen), r.grouped(EdgeGroup, Limit, BareCheck, "")),
		r.refusal(),
		r.million(),
		r.share("refresh while a replica follows revocations, of refresh while nobody does", 0.95, r.grouped(FollowGroup, Packages, Refresh, Followed), r.grouped(FollowGroup, Packages, Refresh, NotFollowed)),
		r.share("create likewise", 0.95, r.grouped(FollowGroup, Packages, Create, Followed), r.grouped(FollowGroup, Packages, Create, NotFollowed)),
		r.cleanupCost(),
		r.cleanupBeside(),
		r.roundTrips(),
		r.memory(),
		r.start(),
	}
	if len(r.Rivals) > 0 || len(r.Missing) > 0 {
		targets = append(targets,
			r.timesRival("refresh over HTTP, times "+rivals.CompasName+"'s function", 4, Refresh, "", rivals.CompasName, Refresh),
			r.timesRival("create over HTTP, times "+rivals.CompasName+"'s function", 3, Create, "", rivals.CompasName, Create),
			r.share("introspection, of "+rivals.SCSName+"'s middleware", 1, r.grouped(SCSGroup, HTTP, Get, Seen), r.grouped(SCSGroup, Rivals, rivals.SCSName, Seen)),
		)
	}

	return targets
}

func (r Results) rows(layer, operation, variant string) []float64 {
	row, _ := r.main(layer, operation, variant)

	return row.Rounds
}

func (r Results) sized(operation, variant string, sessions int) []float64 {
	row, _ := r.find(Key{Layer: Packages, Operation: operation, Variant: variant, Group: SizeGroup, Sessions: sessions})

	return row.Rounds
}

// because says what the distance is made of.
func (t Target) because(distance string) Target {
	t.Distance = distance

	return t
}

// share judges a throughput by another one.
func (r Results) share(what string, wanted float64, got, of []float64) Target {
	t := Target{What: what, Wanted: percent(wanted) + " or more"}
	if len(got) == 0 || len(of) == 0 {
		t.Unknown = true
		return t
	}
	ratio := stats.Ratios(got, of)
	t.Measured, t.Reached = spread(ratio), ratio.Median >= wanted

	return t
}

func (r Results) grouped(group, layer, operation, variant string) []float64 {
	row, _ := r.find(Key{Group: group, Layer: layer, Operation: operation, Variant: variant})

	return row.Rounds
}

func (r Results) refusal() Target {
	t := Target{What: "from revocation to refusal in another process, p99", Wanted: "less than 50 ms", Unknown: r.Revocations.Alone.Count == 0}
	if !t.Unknown {
		t.Measured = fmt.Sprintf("%.1f ms, beside refreshes %.1f ms", r.Revocations.Alone.P99, r.Revocations.Busy.P99)
		t.Reached = max(r.Revocations.Alone.P99, r.Revocations.Busy.P99) < refusalLimit
	}

	return t
}

func (r Results) million() Target {
	t := Target{What: "memory of a million revoked sessions", Wanted: "less than 64 MiB", Unknown: r.Revocations.MillionBytes == 0}
	if !t.Unknown {
		t.Measured = fmt.Sprintf("%.0f MiB", mebibytes(r.Revocations.MillionBytes))
		t.Reached = r.Revocations.MillionBytes < millionLimit
	}

	return t
}

// cleanupCost compares the largest table with the smallest one.
func (r Results) cleanupCost() Target {
	t := Target{What: "removing an expired session from the largest table, times what it takes in the smallest one", Wanted: "1.25 × or less", Unknown: len(r.Cleanups) < 2}
	if !t.Unknown {
		small, large := r.Cleanups[0], r.Cleanups[len(r.Cleanups)-1]
		took, blocks, wal := stats.Ratios(large.Microseconds, small.Microseconds), stats.Ratios(large.Blocks, small.Blocks), stats.Ratios(large.WAL, small.WAL)
		t.Measured = fmt.Sprintf("%s sessions, of %s: time %.2f × (%.2f–%.2f), blocks %.2f ×, WAL %.2f ×",
			sessions(large.Sessions), sessions(small.Sessions), took.Median, took.Min, took.Max, blocks.Median, wal.Median)
		t.Reached = took.Median <= cleanupCostLimit
	}

	return t
}

func (r Results) cleanupBeside() Target {
	b := r.CleanupBeside
	t := Target{What: "refresh over HTTP while expired rows are removed, p99, times what it is without", Wanted: "2 × or less", Unknown: b.Removed == 0}
	if !t.Unknown {
		times := b.With.P99 / b.Without.P99
		t.Measured = fmt.Sprintf("%.1f × (%s of %s ms), %s rows", times, milliseconds(b.With.P99), milliseconds(b.Without.P99), sessions(2*b.Removed))
		t.Reached = times <= cleanupP99Limit
	}

	return t
}

func (r Results) roundTrips() Target {
	t := Target{What: "round trips to the database for an operation", Wanted: "1", Unknown: len(r.Counts) == 0, Reached: true}
	most := 0.0
	for _, c := range r.Counts {
		most = max(most, c.RoundTrips)
		t.Reached = t.Reached && c.RoundTrips == tripsLimit
	}
	if !t.Unknown {
		t.Measured = fmt.Sprintf("%.3g at the most", most)
	}

	return t
}

func (r Results) memory() Target {
	t := Target{What: "memory of the service under full load", Wanted: "less than 100 MiB", Unknown: r.Service.Memory == 0}
	if !t.Unknown {
		t.Measured = fmt.Sprintf("%.0f MiB at %d connections", mebibytes(r.Service.Memory), r.Service.Connections)
		t.Reached = r.Service.Memory < memoryLimit
	}

	return t
}

func (r Results) start() Target {
	t := Target{What: "start of the program until it is ready", Wanted: "less than 300 ms", Unknown: len(r.Service.Started) == 0}
	if !t.Unknown {
		s := stats.SpreadOf(r.Service.Started)
		t.Measured = fmt.Sprintf("%.0f ms (%.0f–%.0f)", s.Median, s.Min, s.Max)
		t.Reached = s.Median < startLimit
	}

	return t
}

// timesRival compares the service with another store, which was not measured in turn with it but after it.
func (r Results) timesRival(what string, wanted float64, operation, variant, name, rivalOperation string) Target {
	t := Target{What: what, Wanted: fmt.Sprintf("%.0f × or more", wanted)}
	ours, known := r.main(HTTP, operation, variant)
	theirs, rivalKnown := r.rival(name, rivalOperation)
	if !known || !rivalKnown || theirs.PerSecond <= 0 {
		t.Unknown = true
		return t
	}
	times := ours.PerSecond() / theirs.PerSecond
	t.Measured, t.Reached = fmt.Sprintf("%.1f ×", times), times >= wanted

	return t
}

func (r Results) rival(name, operation string) (Rival, bool) {
	for _, rival := range r.Rivals {
		if rival.Name == name && rival.Operation == operation {
			return rival, true
		}
	}

	return Rival{}, false
}
