// Package must ends a run at the first thing that fails. A figure next to a failure is worth nothing, so nothing in
// the benchmark continues after one: what fails panics with its error, and [Run] returns it. Each goroutine has its own
// Run.
package must

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"golang.org/x/sync/errgroup"
)

// failure distinguishes an error that ends a run from a fault of the program.
type failure struct{ error }

// Do panics with the error, if it is one.
func Do(err error) {
	if err != nil {
		panic(failure{err})
	}
}

// Hold panics unless something holds. It is for what is checked seldom: the arguments cost something each time.
func Hold(holds bool, format string, arguments ...any) {
	if !holds {
		Do(fmt.Errorf(format, arguments...))
	}
}

// Get returns the value, or panics with the error.
func Get[T any](value T, err error) T {
	Do(err)
	return value
}

// Run calls f, and returns the error that ended it.
func Run(f func()) (err error) {
	defer func() {
		why := recover()
		if failed, ok := why.(failure); ok {
			err = failed.error
		} else if why != nil {
			panic(why)
		}
	}()
	f()
	return nil
}

// Share has workers call f for each number below n, and panics with the first error that ended one of them.
func Share(workers, n int, f func(i int)) {
	var group errgroup.Group
	group.SetLimit(workers)
	for i := range n {
		group.Go(func() error { return Run(func() { f(i) }) })
	}
	Do(group.Wait())
}

// Beside calls f in a goroutine. The function that it returns ends f's context, waits for it, and panics with the error
// that ended it before.
func Beside(ctx context.Context, f func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- Run(func() { f(ctx) }) }()
	return func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			Do(err)
		}
	}
}

// Output runs a program to its end, which must be a good one, and returns what it printed on standard output.
func Output(cmd *exec.Cmd) []byte {
	output, err := cmd.Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		err = fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, exit.Stderr)
	}
	return Get(output, err)
}
