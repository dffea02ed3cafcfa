package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
)

func main() {
	if err := run(); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// heapGrowth is what the service sets for itself: the packages are measured in this process.
const heapGrowth = 150

func run() error {
	if slices.Equal(os.Args[1:], []string{servers.Argument}) {
		return servers.Serve()
	}
	if _, set := os.LookupEnv("GOGC"); !set { //nolint:forbidigo // Go's own
		debug.SetGCPercent(heapGrowth)
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
	results, err := (&bench{cfg: cfg, out: os.Stderr}).run(ctx)
	if err != nil {
		return err
	}

	return write(cfg, results)
}
