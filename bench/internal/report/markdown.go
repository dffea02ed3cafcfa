package report

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/stats"
)

// document is the report while it is written.
type document struct {
	strings.Builder

	results Results
	folder  string // of the pictures, as the report links to them
}

// Markdown returns the report. Its pictures are in the folder of the given name.
func Markdown(r Results, folder string) []byte {
	d := &document{results: r, folder: folder}
	d.opening()
	d.targets()
	d.besideTheLimit()
	d.latencies()
	d.sizes()
	d.costs()
	d.edge()
	d.cleanup()
	d.rivals()
	d.allFigures()
	d.method()

	return []byte(strings.TrimRight(d.String(), "\n") + "\n")
}

// say writes a paragraph, or whatever else stands by itself.
func (d *document) say(format string, args ...any) {
	d.WriteString(fmt.Sprintf(format, args...) + "\n\n")
}

func (d *document) table(t *table) { d.say("%s", strings.TrimRight(t.String(), "\n")) }

func (d *document) picture(name, alternative string) {
	d.say("![%s](%s)", alternative, path.Join(d.folder, name))
}

// route is what an operation is called where the service is meant.
func route(operation string) string {
	if operation == Get {
		return "introspect"
	}

	return operation
}

func (d *document) opening() {
	r := d.results
	d.say("# Performance")
	if len(r.limitChart().groups) > 0 {
		d.picture(limitPicture, "Operations a second: the limits of the machine, Latchkey's packages, Latchkey's service")
	}
	d.say("Measured on %s with Latchkey %s on PostgreSQL %s and %d cores, which PostgreSQL, the service and the load shared. "+
		"Figures of one machine: read the ratios. [How it was measured, and how to repeat it](#how-it-was-measured)",
		r.Taken.Format(time.DateOnly), r.Version, r.PostgreSQL, r.Machine.Cores)
	if r.Quick {
		d.say("> This was a quick run, to see that everything works. Its figures are rough.")
	}
	for _, missing := range r.Missing {
		d.say("> Not measured in this run: %s", strings.ReplaceAll(missing, "\n", " "))
	}
}

func (d *document) targets() {
	d.say("## What is to be reached")
	t := newTable("", "wanted", "measured", "")
	for _, target := range Targets(d.results) {
		verdict := target.Verdict()
		if verdict == "no" {
			verdict = "**no**"
		}
		t.row(target.What, target.Wanted, target.Measured, verdict)
	}
	d.table(t)
	var distances []string
	for _, target := range Targets(d.results) {
		if !target.Unknown && !target.Reached && target.Distance != "" {
			distances = append(distances, fmt.Sprintf("**%s**, %s: %s.", target.What, target.Measured, target.Distance))
		}
	}
	if len(distances) > 0 {
		d.say("What the distances are made of, of which the table of [processor time](#beside-the-limit) has the figures:\n\n- %s", strings.Join(distances, "\n- "))
	}
	d.say("A ratio is the median of those of the rounds, with the lowest and the highest one. At %d at once, with %s sessions where the line does not say otherwise.",
		d.results.Workers, sessions(d.results.Sessions))
}

func (d *document) besideTheLimit() {
	r := d.results
	d.say("## Beside the limit")
	d.say("The limit of an operation is its own statement, sent by a loop that does nothing else. The packages add the tokens (signature, claims) and the pool; the service adds HTTP, JSON, the access log and everything else.")
	t := newTable("operations a second", "its statement, bare:", "packages:", "of the statement:", "HTTP:", "of the packages:")
	for _, o := range append(slices.Clone(operations), struct{ name, variant string }{Get, NotSeen}) {
		bare, _ := r.main(Bare, o.name, "")
		packages, ok := r.main(Packages, o.name, o.variant)
		if !ok {
			continue
		}
		service, _ := r.main(HTTP, o.name, o.variant)
		name := o.name
		if o.variant != "" {
			name += ", " + o.variant
		}
		t.row(name, rate(bare), rate(packages), ratio(packages, bare), rate(service), ratio(service, packages))
	}
	d.table(t)

	d.processor()

	limits := newTable("limits of any such service", "a second:", "p50 ms:", "its own CPU µs:", "PostgreSQL's CPU µs:")
	n := 0
	for _, name := range []string{OneRow, OneRowTool, GetTool, Handler, ChiEdDSA, ChiHS256} {
		if row, ok := r.main(Limit, name, ""); ok {
			own := row.ServerCPU
			if row.Sessions > 0 {
				own = row.ClientCPU
			}
			limits.row(name, rate(row), orNone(row.P50, milliseconds), orNone(own, count), orNone(row.DatabaseCPU, count))
			n++
		}
	}
	if n > 0 {
		d.table(limits)
		d.say("The handlers answer a request that is like a refresh with an answer that is as long. pgbench draws its sessions from the whole table.")
	}
}

// processor says what the distances are made of, where the processor is what limits.
func (d *document) processor() {
	r := d.results
	t := newTable("processor time of one, µs", "", "PostgreSQL:", "our process:", "load generator:", "together:", "would allow a second:", "measured:")
	n := 0
	for _, o := range operations {
		for _, layer := range []string{Bare, Packages, HTTP} {
			variant := o.variant
			if layer == Bare {
				variant = ""
			}
			row, ok := r.main(layer, o.name, variant)
			if !ok || row.DatabaseCPU == 0 {
				continue
			}
			n++
			ours, generator := row.ClientCPU, 0.0
			if layer == HTTP {
				ours, generator = row.ServerCPU, row.ClientCPU
			}
			sum := row.DatabaseCPU + ours + generator
			t.row(o.name, layer, count(row.DatabaseCPU), count(ours), orNone(generator, count), count(sum),
				count(float64(r.Machine.Cores)*1e6/sum), rate(row))
		}
	}
	if n == 0 {
		return
	}
	d.say("Where a machine has little else to wait for than its processor, the processor time of everything that takes part is what decides. All of it runs on the same %d cores here, the load generator too:", r.Machine.Cores)
	d.table(t)
}

func rate(row Row) string { return orNone(row.PerSecond(), count) }

func ratio(row, of Row) string {
	if len(row.Rounds) == 0 || len(of.Rounds) == 0 || row.Group != of.Group {
		return ""
	}

	return spread(stats.Ratios(row.Rounds, of.Rounds))
}

func (d *document) latencies() {
	if len(d.results.Latencies) == 0 {
		return
	}
	d.say("## Latency")
	if len(d.results.latencyChart().groups) > 0 {
		d.picture(latencyPicture, "Latencies of requests at two loads")
	}
	d.say("An open loop: requests come at random moments, whether earlier ones were answered or not, and a request's time counts from when it was due. The load is a share of the throughput in a closed loop with as many connections. The last column is how late the load generator itself was: it is part of the latencies.")
	t := newTable("", "connections:", "load:", "a second:", "requests:", "p50 ms:", "p99 ms:", "p99.9 ms:", "generator p99 ms:")
	for _, l := range d.results.Latencies {
		t.row(route(l.Operation), count(float64(l.Connections)), percent(l.Load), count(l.PerSecond), count(float64(l.Calls)),
			milliseconds(l.P50), milliseconds(l.P99), milliseconds(l.P999), milliseconds(l.Late))
	}
	d.table(t)
}

func (d *document) edge() {
	r := d.results
	if len(r.grouped(EdgeGroup, Edge, Accept, Seen)) == 0 {
		return
	}
	d.say("## At the edge")
	d.say("A resource server in a process of its own accepts access tokens by package `verifier`, which follows the service's revocations over HTTP and reads no database. Beside it the same handler without any check, and with golang-jwt's signature check, which knows nothing of revocations.")
	t := newTable("requests a second", "token seen before:", "token never seen:", "CPU µs, seen before:", "CPU µs, never seen:")
	for _, o := range []struct{ layer, name string }{{Limit, Unchecked}, {Limit, BareCheck}, {Edge, Accept}} {
		seen, _ := r.find(Key{Group: EdgeGroup, Layer: o.layer, Operation: o.name, Variant: Seen})
		never, _ := r.find(Key{Group: EdgeGroup, Layer: o.layer, Operation: o.name, Variant: NotSeen})
		name := o.name
		if o.layer == Edge {
			name = "with package verifier"
		}
		t.row(name, rate(seen), rate(never), orNone(seen.ServerCPU, count), orNone(never.ServerCPU, count))
	}
	d.table(t)
	if v := r.Revocations; v.Alone.Count > 0 {
		t := newTable("from the request that ends a session to the first refusal, ms", "revocations:", "p50:", "p99:", "longest:")
		t.row("nothing else goes on", count(float64(v.Alone.Count)), milliseconds(v.Alone.P50), milliseconds(v.Alone.P99), milliseconds(v.Alone.Max))
		t.row("two clients refresh without a pause", count(float64(v.Busy.Count)), milliseconds(v.Busy.P50), milliseconds(v.Busy.P99), milliseconds(v.Busy.Max))
		d.table(t)
		d.say("A set of a million revoked sessions takes %s. Where things break, the bound holds instead: [edge.md](edge.md) has the longest times that were seen.", bytes(v.MillionBytes))
	}
	follow := newTable("operations a second through the packages", "refresh:", "create:")
	for _, variant := range []string{NotFollowed, Followed, Busy, FollowedBusily} {
		refresh, _ := r.find(Key{Group: FollowGroup, Layer: Packages, Operation: Refresh, Variant: variant})
		create, _ := r.find(Key{Group: FollowGroup, Layer: Packages, Operation: Create, Variant: variant})
		follow.row(variant, rate(refresh), rate(create))
	}
	d.table(follow)
	d.say("Only what ends a session sends NOTIFY, so whoever creates and refreshes takes no lock for it.")
}

func (d *document) sizes() {
	r := d.results
	d.say("## More sessions")
	if len(r.sizeChart().groups) > 0 {
		d.picture(sizePicture, "The same operations on tables of several sizes")
	}
	t := newTable("sessions", "tables:", "indexes:", "", "used in this run:")
	for _, s := range r.Sizes {
		total := s.TableBytes + s.IndexBytes
		fits := "does not fit in the machine's memory"
		switch {
		case total < r.SharedBuffers:
			fits = "fits in shared_buffers"
		case total < r.Machine.MemoryBytes-r.SharedBuffers:
			fits = "fits in memory, not in shared_buffers"
		}
		t.row(sessions(s.Sessions), bytes(s.TableBytes), bytes(s.IndexBytes), fits, count(float64(s.SampleCount)))
	}
	d.table(t)
	d.say("shared_buffers is %s, the machine's memory %s. The sessions that are used are spread evenly over the whole table.",
		bytes(r.SharedBuffers), bytes(r.Machine.MemoryBytes))

	if len(r.Sizes) > 1 {
		t := newTable("operations a second", "sessions", "its statement, bare:", "packages:", "of the smallest table:", "HTTP:", "of the smallest table:")
		for _, o := range []struct{ name, variant, label string }{
			{Refresh, "", "refresh"}, {Get, Seen, "get, " + Seen}, {Get, NotSeen, "get, " + NotSeen},
		} {
			for _, s := range r.Sizes {
				at := func(layer string, sessions int) Row {
					variant := o.variant
					if layer == Bare {
						variant = ""
					}
					row, _ := r.find(Key{Layer: layer, Operation: o.name, Variant: variant, Group: SizeGroup, Sessions: sessions})
					return row
				}
				first := r.Sizes[0].Sessions
				packages, service := at(Packages, s.Sessions), at(HTTP, s.Sessions)
				if len(packages.Rounds) == 0 {
					continue
				}
				t.row(o.label, sessions(s.Sessions), rate(at(Bare, s.Sessions)), rate(packages), ratio(packages, at(Packages, first)),
					rate(service), ratio(service, at(HTTP, first)))
			}
		}
		d.table(t)
	}
	d.checkpoints()
}

func (d *document) checkpoints() {
	r := d.results
	t := newTable("refresh through the packages", "steady, a second:", "WAL bytes each:", "after a checkpoint, a second:", "WAL bytes each:", "of steady:")
	n := 0
	for _, s := range r.Sizes {
		of := func(state string) (Row, bool) {
			return r.find(Key{Operation: Refresh, Group: CheckpointGroup, State: state, Sessions: s.Sessions})
		}
		steady, _ := of(Steady)
		after, ok := of(AfterCheckpoint)
		if !ok {
			continue
		}
		n++
		t.row(sessions(s.Sessions)+" sessions", rate(steady), count(steady.WAL), rate(after), count(after.WAL), ratio(after, steady))
	}
	if n == 0 {
		return
	}
	d.say("The first change of a page after a checkpoint writes the whole page into the WAL. So a large table is slower for a while after each checkpoint; everything else in this report is the steady state after that.")
	d.table(t)
}

func (d *document) costs() {
	r := d.results
	if len(r.Counts) == 0 {
		return
	}
	d.say("## What an operation costs")
	d.say("Through the packages. Round trips and allocations do not depend on the machine.")
	t := newTable("", "round trips:", "allocations:", "allocated bytes:", "WAL bytes:", "CPU µs:", "PostgreSQL's CPU µs:")
	for _, c := range r.Counts {
		name := c.Operation
		if c.Variant != "" {
			name += ", " + c.Variant
		}
		row, _ := r.main(Packages, c.Operation, c.Variant)
		t.row(name, fmt.Sprintf("%.3g", c.RoundTrips), count(c.Allocations), count(c.AllocatedBytes),
			count(row.WAL), orNone(row.ClientCPU, count), orNone(row.DatabaseCPU, count))
	}
	d.table(t)
	if s := r.Service; s.Memory > 0 {
		started := stats.SpreadOf(s.Started)
		d.say("The service: %s of memory at %d connections under full load, at the most; ready %.0f ms after its start (%.0f to %.0f ms in %d starts); a binary of %s.",
			bytes(s.Memory), s.Connections, started.Median, started.Min, started.Max, len(s.Started), bytes(s.BinaryBytes))
	}
}

func (d *document) cleanup() {
	r := d.results
	if len(r.Cleanups) == 0 {
		return
	}
	d.say("## Clean-up")
	t := newTable("expired sessions removed", "beside", "µs each:", "PostgreSQL's CPU µs:", "blocks:", "WAL bytes:", "in batches:")
	for _, c := range r.Cleanups {
		var batches []float64
		for _, n := range c.Batches {
			batches = append(batches, float64(n))
		}
		t.row(sessions(c.Removed), sessions(c.Sessions), count(stats.Median(c.Microseconds)), count(stats.Median(c.DatabaseCPU)),
			count(stats.Median(c.Blocks)), count(stats.Median(c.WAL)), count(stats.Median(batches)))
	}
	d.table(t)
	d.say("Through the packages, without the rests between batches, which take four times as long. A session is two rows and six index entries. Those that are removed were created one after the other, as most that are abandoned are. Blocks are those of 8 KiB that were looked at, in memory or on the disk.")
	b := r.CleanupBeside
	if b.Removed == 0 {
		return
	}
	t = newTable("refresh over HTTP", "a second:", "requests:", "p50 ms:", "p99 ms:", "p99.9 ms:", "generator p99 ms:")
	for _, line := range []struct {
		name string
		Latency
	}{{"before", b.Without}, {fmt.Sprintf("while %s rows are removed", sessions(2*b.Removed)), b.With}} {
		t.row(line.name, count(line.PerSecond), count(float64(line.Calls)), milliseconds(line.P50), milliseconds(line.P99), milliseconds(line.P999), milliseconds(line.Late))
	}
	d.table(t)
	d.say("An open loop at %.0f %% of what is possible, on a table of %s sessions, while `api cleanup` removed the rows of %s others in %.0f s, and for %.0f s before. Autovacuum is on, and the sessions lie on pages that nobody has changed since the last checkpoint.",
		100*b.Load, sessions(b.Sessions), sessions(b.Removed), b.Seconds, float64(b.Without.Calls)/b.Without.PerSecond)
}

func (d *document) rivals() {
	if len(d.results.Rivals) == 0 {
		return
	}
	d.say("## Beside other session stores")
	if len(d.results.rivalChart().groups) > 0 {
		d.picture(rivalPicture, "Operations a second of other session stores and of Latchkey")
	}
	t := newTable("", "", "a second:", "p50 ms:", "p99 ms:", "")
	for _, rival := range d.results.Rivals {
		t.row(rival.Name, rival.Operation, count(rival.PerSecond), milliseconds(rival.P50), milliseconds(rival.P99), rival.Note)
	}
	d.table(t)
	d.say("On the same server, each after the other. What can be compared, and what not: [bench/rivals](../bench/rivals/README.md).")
}

func (d *document) allFigures() {
	r := d.results
	var at []int
	for _, row := range r.Rows {
		if row.Group == Main(row.Workers) && !slices.Contains(at, row.Workers) {
			at = append(at, row.Workers)
		}
	}
	slices.Sort(at)
	d.say("## All figures")
	for _, workers := range at {
		d.say("<details>\n<summary>%d at once</summary>", workers)
		t := newTable("", "", "a second:", "p50 ms:", "p99 ms:", "p99.9 ms:", "CPU µs:", "PostgreSQL's CPU µs:", "generator's CPU µs:", "WAL bytes:")
		for _, row := range r.Rows {
			if row.Group != Main(workers) || row.Workers != workers {
				continue
			}
			name := row.Operation
			if row.Layer == HTTP {
				name = route(name)
			}
			if row.Variant != "" {
				name += ", " + row.Variant
			}
			// In a process with the load there is no telling the two apart.
			own, generator := row.ClientCPU, ""
			if row.ServerCPU > 0 {
				own, generator = row.ServerCPU, orNone(row.ClientCPU, count)
			}
			t.row(row.Layer, name, rate(row), orNone(row.P50, milliseconds), orNone(row.P99, milliseconds), orNone(row.P999, milliseconds),
				orNone(own, count), orNone(row.DatabaseCPU, count), generator, count(row.WAL))
		}
		d.table(t)
		d.say("</details>")
	}
	d.say("CPU is processor time for each operation: of the service where it is one, else of the process that calls the packages, with the loop that drives them. "+
		"introspect is `POST /oauth2/introspect`, load `GET /v1/sessions/{id}`. Everything in numbers, with each round: [results.json](%s).",
		path.Join(d.folder, "results.json"))
}

func (d *document) method() {
	r := d.results
	d.say("## How it was measured")
	d.say("```sh\nmake bench                      # this report: needs Linux, PostgreSQL's programs and room on the disk\ncd bench && go run . -quick     # a first look, in under two minutes\ncd bench && go run . -render    # the report again, from its results.json\n```")
	t := newTable("", "")
	for _, line := range [][2]string{
		{"machine", fmt.Sprintf("%s, %d cores, %s of memory, %s", r.Machine.CPU, r.Machine.Cores, bytes(r.Machine.MemoryBytes), r.Machine.Kernel)},
		{"disk", fmt.Sprintf("%s for 8 KiB until fdatasync returns (median)", r.Machine.Fsync.Round(time.Microsecond))},
		{"versions", fmt.Sprintf("Latchkey %s, PostgreSQL %s, %s", r.Version, r.PostgreSQL, r.Machine.Go)},
		{"PostgreSQL's settings", settings(r.Settings)},
		{"command", fmt.Sprintf("`%s`, %s, on %s", r.Command, r.Took, r.Taken.Format("2006-01-02 15:04 UTC"))},
	} {
		t.row(line[0], line[1])
	}
	d.table(t)
	lines := []string{
		"**Durable.** The program asks the server for fsync, synchronous_commit and full_page_writes, and measures nothing where one is off.",
		"**In turn.** What is compared runs in rounds, A B C A B C. A ratio is taken within a round, and the median of the rounds is given.",
		"**The statements are ours.** A tracer takes them from the packages, and the bare loop sends them again with other ids, on as many connections as there are workers, prepared, and reads the same columns.",
		"**Creating, reading and refreshing share statements** where several wait for the database at once, so the packages can be faster than a loop that sends the statement for each.",
		"**Every answer is looked at.** One that fails, or a refresh that is not a rotation, ends the run without a report.",
		"**Sessions** hold about 100 bytes of data and a browser's user agent, and were refreshed once before. New access tokens are presented by clients whose use was recorded before; recording it is one batched update for a whole session generation.",
		"**The service** is the real binary with its defaults, except: its log goes to /dev/null, access tokens live longer than the run, a pair may be refreshed again after three seconds, and clean-up is off. The load generator is a client of its own over keep-alive connections on the loopback interface.",
		"**Create and revoke** have a table of their own, which begins with 10 thousand sessions and grows: the others keep their size.",
		"**The packages** are measured in the benchmark's process, which collects garbage as rarely as the service does (GOGC 150).",
		"**Refreshes through the packages** have a grace of a nanosecond, so that each is a rotation.",
		"**Memory.** With huge_pages off, as on most machines, each connection needs a while until the system has mapped every page of shared_buffers for it, and large tables look slower for that: `-huge-pages` measures without.",
		"**Checkpoints** happen when the program asks for one. The figures are of the steady state, in which the pages that change have changed before since the last one.",
	}
	d.say("- %s", strings.Join(lines, "\n- "))
}

func settings(all []Setting) string {
	var texts []string
	for _, s := range all {
		texts = append(texts, fmt.Sprintf("%s %s", s.Name, s.Value))
	}

	return strings.Join(texts, ", ")
}
