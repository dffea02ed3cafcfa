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

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/servers"
)

func main() {
	if err := must.Run(run); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// heapGrowth is what the service sets for itself: the packages are measured in this process.
const heapGrowth = 150

func run() {
	if slices.Equal(os.Args[1:], []string{servers.Argument}) {
		servers.Serve()
		return
	}
	if _, set := os.LookupEnv("GOGC"); !set { //nolint:forbidigo // Go's own
		debug.SetGCPercent(heapGrowth)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	cfg := must.Get(parseFlags(os.Args[1:], os.Stderr))
	if cfg.render {
		renderAgain(cfg)
		return
	}
	must.Do(cfg.checkDisk())
	write(cfg, (&bench{cfg: cfg, out: os.Stderr}).run(ctx))
}
