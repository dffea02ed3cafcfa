// Package report turns measurements into the tables, pictures and verdicts of docs/performance.md.
//
// It promises to add nothing: each figure in the report is in the results, or is computed from them here.
package report

import (
	"fmt"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
)

// Layers: through what an operation was measured.
const (
	// Limit is less than the operation itself: what no implementation could do without.
	Limit = "limit"
	// Bare is the operation's own statement, sent by pgx without the packages.
	Bare = "bare"
	// Packages is the Go API.
	Packages = "packages"
	// HTTP is the running service.
	HTTP = "HTTP"
	// Edge is a resource server that accepts tokens by package verifier.
	Edge = "edge"

	// Compas and SCS are other projects' stores.
	Compas = "@compas/store"
	SCS    = "alexedwards/scs"
)

// Operations.
const (
	Create  = "create"
	Get     = "get"
	Refresh = "refresh"
	Update  = "update"
	Revoke  = "revoke"
	// Load is the service's GET /v1/sessions/{id}.
	Load = "load"
	// OneRow is the limit of all that write.
	OneRow = "one-row update by primary key"
	// Accept is a request with an access token to a resource server.
	Accept = "accept"
)

// Variants of get: the same access token comes again and again until it expires.
const (
	Seen    = "token presented before"
	NotSeen = "token never presented before"
)

// States of the tables.
const (
	// Steady means that each page that is changed was changed before since the last checkpoint.
	Steady = "steady"
	// AfterCheckpoint means that none was.
	AfterCheckpoint = "after a checkpoint"
)

// Groups of rows that were measured in turn: only those may be compared.
const (
	SizeGroup = "sizes"
	// CheckpointGroup is refreshes right after a checkpoint.
	CheckpointGroup = "checkpoint"
	// EdgeGroup is accepting tokens without a database read, FollowGroup what that costs those who write.
	EdgeGroup   = "edge"
	FollowGroup = "following"
)

// Groups that there are at each number of workers: see [At].
const (
	// SCSGroup is introspections and updates in turn with scs' middleware, with as many sessions.
	SCSGroup = "beside scs"
	// CompasGroup is of a rival that is measured for itself.
	CompasGroup = "rivals"

	// SlowCommits, Distant and SlowAndDistant are what PostgreSQL is like in them: a commit takes 2 ms longer, as on
	// most volumes of clouds and with a synchronous standby; each answer comes 1 ms later, as from another zone; both.
	SlowCommits    = "commits of 2 ms"
	Distant        = "round trips of 1 ms"
	SlowAndDistant = "both"
)

// At returns the name of a group at a number of workers.
func At(group string, workers int) string { return fmt.Sprintf("%s at %d", group, workers) }

// Main returns the name of the group of all operations at a number of workers.
func Main(workers int) string { return At("operations", workers) }

// Key says what a row is about.
type Key struct {
	Layer     string `json:"layer"`
	Operation string `json:"operation"`
	Variant   string `json:"variant,omitempty"`
	State     string `json:"state"`
	Group     string `json:"group"`
	Sessions  int    `json:"sessions"`
	// Workers is how many of them were under way at once.
	Workers int `json:"workers"`
	// Load is, in an open loop, the share of what was found to be possible in a closed one; 0: a closed loop.
	Load float64 `json:"load,omitempty"`
}

// Row is an operation that was kept going, in one round or several.
type Row struct {
	Key

	// Rounds are the operations for each second, round by round.
	Rounds []float64 `json:"rounds"`
	// Calls is how many operations were counted in all rounds.
	Calls int `json:"calls"`
	// Times in milliseconds, over all rounds. Late is how much the generator of an open loop was late itself.
	P50  float64 `json:"p50_ms"`
	P99  float64 `json:"p99_ms"`
	P999 float64 `json:"p999_ms"`
	Max  float64 `json:"max_ms,omitempty"`
	Late float64 `json:"late_p99_ms,omitempty"`
	// Processor time for each operation in microseconds: of the benchmark (with the packages in it, where they are
	// measured), of the server, of PostgreSQL.
	ClientCPU   float64 `json:"client_cpu_us,omitempty"`
	ServerCPU   float64 `json:"server_cpu_us,omitempty"`
	DatabaseCPU float64 `json:"database_cpu_us,omitempty"`
	// WAL is how many bytes were written to it for each operation.
	WAL float64 `json:"wal_bytes,omitempty"`
	// TransactionIDs is how many each operation took: less than one where operations share a statement.
	TransactionIDs float64 `json:"transaction_ids,omitempty"`
	// Note is of a rival: its versions, and the processor time of its own process.
	Note string `json:"note,omitempty"`
}

// PerSecond returns the median of the rounds.
func (r Row) PerSecond() float64 { return spreadOf(r.Rounds).Median }

// Seconds is how long one round was measured.
func (r Row) Seconds() float64 { return float64(r.Calls) / r.PerSecond() }

// AllCPU is the processor time of all participants.
func (r Row) AllCPU() float64 { return r.DatabaseCPU + r.ClientCPU + r.ServerCPU }

// Allows is how many operations per second this many cores could do.
func (r Row) Allows(cores int) float64 { return float64(cores) * 1e6 / r.AllCPU() }

// Count is what does not depend on the machine: of one operation of the packages.
type Count struct {
	Operation      string  `json:"operation"`
	Variant        string  `json:"variant,omitempty"`
	RoundTrips     float64 `json:"round_trips"`
	Allocations    float64 `json:"allocations"`
	AllocatedBytes float64 `json:"allocated_bytes"`
}

// Size is how large the tables are.
type Size struct {
	Sessions    int   `json:"sessions"`
	TableBytes  int64 `json:"table_bytes"`
	IndexBytes  int64 `json:"index_bytes"`
	SampleCount int   `json:"sample"`
}

// Service is what the service takes.
type Service struct {
	// Started are the milliseconds from the start of the program until it was ready, of several starts.
	Started []float64 `json:"started_ms"`
	// Memory is the largest resident size under full load on this many connections.
	Memory      int64 `json:"memory_bytes"`
	Connections int   `json:"connections"`
	BinaryBytes int64 `json:"binary_bytes"`
}

// Revocations are what following them takes.
type Revocations struct {
	// Alone and Busy are how long it took from the request that ended a session until another process refused its
	// access token: while nothing else continued, and while two clients refreshed without a pause.
	Alone Row `json:"alone"`
	Busy  Row `json:"busy"`
	// MillionBytes is the memory of a set of a million revoked sessions; 0: not measured.
	MillionBytes int64 `json:"million_bytes"`
}

// Cleanup is the cost of removing expired sessions from a table with this many others, round by round. The figures are
// for each session that was removed.
type Cleanup struct {
	Sessions int `json:"sessions"`
	Removed  int `json:"removed"`
	// Microseconds is how long it took, without the rests between batches.
	Microseconds []float64 `json:"us"`
	DatabaseCPU  []float64 `json:"database_cpu_us"`
	// Blocks is how many blocks were read, from memory or from the disk.
	Blocks  []float64 `json:"blocks"`
	WAL     []float64 `json:"wal_bytes"`
	Batches []float64 `json:"batches"`
}

// CleanupBeside is how long refreshes over HTTP took in an open loop while this many expired sessions were removed in
// this many seconds, and before.
type CleanupBeside struct {
	Removed int     `json:"removed"`
	Seconds float64 `json:"seconds"`
	Without Row     `json:"without"`
	With    Row     `json:"with"`
}

// Slower is how many times longer the slowest hundredth took meanwhile.
func (b CleanupBeside) Slower() float64 { return b.With.P99 / b.Without.P99 }

// Rows is how many rows were removed: a session has two.
func (b CleanupBeside) Rows() int { return 2 * b.Removed }

// Results are all that was measured in a run.
type Results struct {
	Taken      time.Time     `json:"taken"`
	Took       time.Duration `json:"took"`
	Command    string        `json:"command"`
	Quick      bool          `json:"quick"`
	Version    string        `json:"version"`
	Machine    machine.Facts `json:"machine"`
	PostgreSQL string        `json:"postgresql"`
	// SharedBuffers is PostgreSQL's own memory in bytes.
	SharedBuffers int64             `json:"shared_buffers"`
	Settings      map[string]string `json:"settings"`
	// Workers is at how many workers most was measured, Sessions in a table of how many.
	Workers  int `json:"workers"`
	Sessions int `json:"sessions"`

	Sizes []Size `json:"sizes"`
	Rows  []Row  `json:"rows"`
	// Latencies are of the service in an open loop.
	Latencies []Row   `json:"latencies"`
	Counts    []Count `json:"counts"`
	Service   Service `json:"service"`
	// Revocations are as a resource server sees them that follows the service.
	Revocations Revocations `json:"revocations"`
	// Cleanups are of tables of several sizes, the smallest first.
	Cleanups      []Cleanup     `json:"cleanups,omitempty"`
	CleanupBeside CleanupBeside `json:"cleanup_beside"`
	// Rivals are other session stores: their layer is their name.
	Rivals []Row `json:"rivals,omitempty"`
	// Missing says why something was not measured.
	Missing []string `json:"missing,omitempty"`
}

// Find returns the first row that agrees with every member of the key that is not zero; an empty one: there is none.
func Find(rows []Row, want Key) Row {
	agrees := func(want, got string) bool { return want == "" || want == got }
	for _, row := range rows {
		if agrees(want.Layer, row.Layer) && agrees(want.Operation, row.Operation) && agrees(want.Variant, row.Variant) &&
			agrees(want.State, row.State) && agrees(want.Group, row.Group) && (want.Sessions == 0 || want.Sessions == row.Sessions) && (want.Workers == 0 || want.Workers == row.Workers) {
			return row
		}
	}
	return Row{}
}

// group finds a row of those that were measured in turn. A bare statement knows no variants.
func (r Results) group(group, layer, operation, variant string) Row {
	if layer == Bare {
		variant = ""
	}
	return Find(r.Rows, Key{Group: group, Layer: layer, Operation: operation, Variant: variant})
}
