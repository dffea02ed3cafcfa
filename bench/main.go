package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/term"

	"github.com/latchkey-sessions/latchkey/bench/internal/limits"
)

func main() {
	if err := run(); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) == 2 && os.Args[1] == limits.Argument {
		return limits.Serve(os.Stdin, os.Stdout)
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
	if runtime.GOOS != "linux" {
		return errors.New("what processes take is read from /proc: this needs Linux")
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
