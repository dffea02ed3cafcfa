// Command bench measures Latchkey beside its physical limits, and beside other session stores, in one run on one
// machine, and writes docs/performance.md about it.
//
//	go run .             # all of it
//	go run . -quick      # a first look, in under two minutes
//	go run . -render     # the report again, from the results of the last run
//
// How it goes about it:
//
//   - A private PostgreSQL, which is durable while anything is measured: fsync, synchronous_commit and full_page_writes
//     are on, or nothing is measured.
//   - What is compared runs in turn, round by round, and ratios are taken within a round: the machine may be busy with
//     other things for a while.
//   - The limit of an operation is its own statement, captured from the packages and sent again by a bare loop.
//   - A single operation that fails, or a refresh that is answered with anything but a new pair, ends the run.
//
// The files of this folder: operations through each layer (operation_*.go), what they are run on (rig.go), how they are
// measured (measure.go), and what is run when (bench.go, stage_*.go). It needs Linux.
package main
