package report

import (
	"fmt"
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
	refusalLimit      = 50.0
	millionLimit      = 64 << 20
	cleanupCostLimit  = 1.25
	cleanupP99Limit   = 2.0
)

// Targets judges the results.
func Targets(r Results) []Target {
	edge, following := EdgeGroup, FollowGroup
	alone, busy := r.Revocations.Alone, r.Revocations.Busy
	var small, large Cleanup // the largest table, and the smallest one
	if len(r.Cleanups) > 1 {
		small, large = r.Cleanups[0], r.Cleanups[len(r.Cleanups)-1]
	}
	removal := ratios(large.Microseconds, small.Microseconds)
	beside := r.CleanupBeside
	slower := beside.With.P99 / beside.Without.P99
	trips := 0.0
	for _, c := range r.Counts {
		trips = max(trips, c.RoundTrips)
	}
	started := spreadOf(r.Service.Started)
	targets := []Target{
		share("create through the packages, of its statement alone", 0.90, r.main(Packages, Create, ""), r.main(Bare, Create, ""),
			"the access token's Ed25519 signature first of all, then ids, the checksum and the refresh token's MAC"),
		share("get through the packages, of its statement alone ("+Seen+")", 0.90, r.main(Packages, Get, Seen), r.main(Bare, Get, ""), ""),
		share("get through the packages, of its statement alone ("+NotSeen+")", 0.90, r.main(Packages, Get, NotSeen), r.main(Bare, Get, ""),
			"the check of the token's Ed25519 signature; that is done once for each token, the next request with it is the line above"),
		share("refresh through the packages, of its statement alone", 0.90, r.main(Packages, Refresh, ""), r.main(Bare, Refresh, ""), ""),
		share("refresh through the packages, of a "+OneRow, 0.65, r.main(Packages, Refresh, ""), r.main(Limit, OneRow, ""), ""),
		share("refresh over HTTP, of the packages", 0.75, r.main(HTTP, Refresh, ""), r.main(Packages, Refresh, ""),
			"HTTP itself. Of what it adds to the processor time of one refresh, our handlers with form, JSON and access log are less than a third in a profile; the rest is net/http, the kernel's sockets, goroutines that wait and wake, and the load generator, and all share the cores with PostgreSQL. An empty handler and its load alone take some 30 µs of the two cores, the packages and PostgreSQL 60 to 80. Sharing statements makes both faster, and the packages more"),
		share("get with 10 million sessions, of 10 thousand ("+Seen+")", 0.85, r.sized(Packages, Get, Seen, largest), r.sized(Packages, Get, Seen, smallest),
			"memory. The tables of 10 million sessions are larger than shared_buffers, and each get reads four pages of them that no processor's cache has, nor its table of pages; the bare statement loses as much, and huge pages give some of it back. The less the rest of a get costs, the more of it this is"),
		share("get with 10 million sessions, of 10 thousand ("+NotSeen+")", 0.85, r.sized(Packages, Get, NotSeen, largest), r.sized(Packages, Get, NotSeen, smallest),
			"the same, beside the check of the token's signature, which no size of the table changes"),
		share("refresh with 10 million sessions, of 10 thousand", 0.85, r.sized(Packages, Refresh, "", largest), r.sized(Packages, Refresh, "", smallest), ""),
		share("a token that was accepted before at the edge, of the handler without a check", 0.90, r.grouped(edge, Edge, Accept, Seen), r.grouped(edge, Limit, Unchecked, ""),
			"the token's SHA-256, two look-ups and the copy of the request that carries the claims: about 1 µs where one token comes again and again. Here 10,000 come in turn, and what is remembered of them has to be fetched from memory each time, in a process that otherwise lives in its processor's cache"),
		share("a token that comes for the first time, of golang-jwt's signature check alone", 0.90, r.grouped(edge, Edge, Accept, NotSeen), r.grouped(edge, Limit, BareCheck, ""), ""),
		limit("from revocation to refusal in another process, p99", "less than 50 ms", alone.Calls > 0, max(alone.P99, busy.P99) < refusalLimit,
			"%.1f ms, beside refreshes %.1f ms", alone.P99, busy.P99),
		limit("memory of a million revoked sessions", "less than 64 MiB", r.Revocations.MillionBytes > 0, r.Revocations.MillionBytes < millionLimit,
			"%.0f MiB", mebibytes(r.Revocations.MillionBytes)),
		share("refresh while a replica follows revocations, of refresh while nobody does", 0.95, r.grouped(following, Packages, Refresh, Followed), r.grouped(following, Packages, Refresh, NotFollowed), ""),
		share("create likewise", 0.95, r.grouped(following, Packages, Create, Followed), r.grouped(following, Packages, Create, NotFollowed), ""),
		limit("removing an expired session from the largest table, times what it takes in the smallest one", "1.25 × or less",
			len(r.Cleanups) > 1, removal.Median <= cleanupCostLimit, "%s sessions, of %s: time %.2f × (%.2f–%.2f), blocks %.2f ×, WAL %.2f ×",
			sessions(large.Sessions), sessions(small.Sessions), removal.Median, removal.Min, removal.Max,
			ratios(large.Blocks, small.Blocks).Median, ratios(large.WAL, small.WAL).Median),
		limit("refresh over HTTP while expired rows are removed, p99, times what it is without", "2 × or less", beside.Removed > 0, slower <= cleanupP99Limit,
			"%.1f × (%s of %s ms), %s rows", slower, milliseconds(beside.With.P99), milliseconds(beside.Without.P99), sessions(beside.Rows())),
		limit("round trips to the database for an operation", "1", len(r.Counts) > 0, trips == 1, "%.3g at the most", trips),
		limit("memory of the service under full load", "less than 100 MiB", r.Service.Memory > 0, r.Service.Memory < memoryLimit,
			"%.0f MiB at %d connections", mebibytes(r.Service.Memory), r.Service.Connections),
		limit("start of the program until it is ready", "less than 300 ms", len(r.Service.Started) > 0, started.Median < startLimit,
			"%.0f ms (%.0f–%.0f)", started.Median, started.Min, started.Max),
	}
	if len(r.Rivals) > 0 || len(r.Missing) > 0 {
		targets = append(targets,
			r.timesRival("refresh over HTTP, times "+Compas+"'s function", 4, Refresh),
			r.timesRival("create over HTTP, times "+Compas+"'s function", 3, Create),
			share("introspection, of "+SCS+"'s middleware", 1, r.grouped(SCSGroup, HTTP, Get, Seen), r.grouped(SCSGroup, SCS, Read, ""), ""),
		)
	}

	return targets
}

// share judges a throughput by another one. The distance is what lies between them.
func share(what string, wanted float64, got, of Row, distance string) Target {
	ratio := ratios(got.Rounds, of.Rounds)
	t := limit(what, percent(wanted)+" or more", len(got.Rounds) > 0 && len(of.Rounds) > 0, ratio.Median >= wanted, "%v", ratio)
	t.Distance = distance

	return t
}

// limit judges something that was measured, if it was.
func limit(what, wanted string, known, reached bool, format string, measured ...any) Target {
	if !known {
		return Target{What: what, Wanted: wanted, Unknown: true}
	}

	return Target{What: what, Wanted: wanted, Reached: reached, Measured: fmt.Sprintf(format, measured...)}
}

func mebibytes(n int64) float64 { return float64(n) / (1 << 20) }

// timesRival compares the service with Compas' functions, which were not measured in turn with it but after it.
func (r Results) timesRival(what string, wanted float64, operation string) Target {
	ours, theirs := r.main(HTTP, operation, ""), r.rival(Compas, operation)
	times := ours.PerSecond() / theirs.PerSecond()

	return limit(what, fmt.Sprintf("%.0f × or more", wanted), len(ours.Rounds) > 0 && len(theirs.Rounds) > 0, times >= wanted, "%.1f ×", times)
}
