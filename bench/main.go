package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/term"

	"github.com/latchkey-sessions/latchkey/bench/internal/edge"
	"github.com/latchkey-sessions/latchkey/bench/internal/limits"
	"github.com/latchkey-sessions/latchkey/bench/rivals"
)

func main() {
	if err := run(); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const (
	// heapGrowth is what the service sets for itself: the packages are measured in this process.
	heapGrowth = 150
	// goHeapGrowth is Go's default.
	goHeapGrowth = 100
)

// server is what this program is in a process of its own, if it is one that it has started; nil: it is the benchmark.
func server(arguments []string) func() error {
	if len(arguments) != 1 {
		return nil
	}

	return map[string]func() error{limits.Argument: limits.Serve, edge.Argument: edge.Serve, rivals.SCSArgument: rivals.ServeSCS}[arguments[0]]
}

func run() error {
	if serve := server(os.Args[1:]); serve != nil {
		return serve()
	}
	if was := debug.SetGCPercent(heapGrowth); was != goHeapGrowth { // the environment's word counts
		debug.SetGCPercent(was)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	cfg, err := parseFlags(os.Args[1:], os.Stderr)
	if err != nil {
		return err
	}
	if cfg.render {
		return renderAgain(cfg)
	}
	if err := cfg.checkDisk(); err != nil {
		return err
	}
	b := &bench{cfg: cfg, progress: newProgress(os.Stderr, term.IsTerminal(int(os.Stderr.Fd())))}
	results, err := b.run(ctx)
	if err != nil {
		return err
	}
	if cfg.only != nil {
		return printRows(os.Stdout, results)
	}

	return write(cfg, results)
}
