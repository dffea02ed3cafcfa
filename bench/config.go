package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
)

// config is what the command line says.
type config struct {
	quick, render, hugePages bool
	sizes, workers           []int // ascending
	duration                 time.Duration
	rounds                   int
	out, dir, only           string
	arguments                []string
}

const (
	// mainWorkers is where most is measured, and what the targets are about.
	mainWorkers = 32
	// mainSize is the most sessions that all operations are measured with.
	mainSize = 1_000_000
	// sample is how many sessions, spread over all, are used.
	sample = 100_000

	// bytesPerSession is what a session takes on the disk, with its indexes and a share of the WAL: generously.
	bytesPerSession = 1400
	// bytesBesides are for the WAL and for the rivals.
	bytesBesides = 3 << 30
)

func parseFlags(arguments []string, usage io.Writer) (config, error) {
	c := config{
		sizes: []int{10_000, 1_000_000, 10_000_000}, workers: []int{1, 8, mainWorkers, 128}, duration: 2500 * time.Millisecond, rounds: 3,
		arguments: arguments,
	}
	err := c.parse(usage)
	if err == nil && c.quick {
		c.sizes, c.workers, c.duration, c.rounds = []int{10_000}, []int{mainWorkers}, 500*time.Millisecond, 1
		err = c.parse(usage) // what is given counts all the same
	}
	if err != nil {
		return c, err
	}
	return c, c.check()
}

func (c *config) parse(usage io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.BoolVar(&c.quick, "quick", false, "a first look, in under two minutes: 10000 sessions, 32 workers, a round of 500ms")
	flags.BoolVar(&c.render, "render", false, "write the report again, from the results of the last run next to it")
	flags.Func("sizes", "numbers of `sessions`, separated by commas (default 10000,1000000,10000000)", numbers(&c.sizes))
	flags.Func("concurrency", "numbers of `workers`, separated by commas (default 1,8,32,128)", numbers(&c.workers))
	flags.DurationVar(&c.duration, "duration", c.duration, "how long a round of an operation is measured")
	flags.IntVar(&c.rounds, "rounds", c.rounds, "rounds at 32 workers and of the sizes")
	flags.StringVar(&c.out, "out", "../docs/performance.md", "where the report goes; pictures and results go into the folder of the same name next to it")
	flags.StringVar(&c.dir, "dir", "/var/tmp", "`folder` below which the database is made, on the disk to measure")
	flags.StringVar(&c.only, "only", "", "of the stages that measure, run those whose name contains this `text`, and print their figures without a report")
	flags.BoolVar(&c.hugePages, "huge-pages", false, "have PostgreSQL use huge pages, as its manual advises: sysctl vm.nr_hugepages has to reserve enough before")
	err := flags.Parse(c.arguments)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("%q is no flag", flags.Arg(0))
	}
	return err
}

// numbers reads a flag whose numbers are at least 1. They are kept in ascending order, each once.
func numbers(to *[]int) func(string) error {
	return func(text string) error {
		*to = nil
		if err := json.Unmarshal([]byte("["+text+"]"), to); err != nil || len(*to) == 0 || slices.Min(*to) < 1 {
			return errors.New("numbers from 1 on are wanted, separated by commas")
		}
		slices.Sort(*to)
		*to = slices.Compact(*to)
		return nil
	}
}

func (c config) check() error {
	most := slices.Max(c.workers)
	switch {
	case c.duration < 100*time.Millisecond:
		return fmt.Errorf("-duration is %v: less than 100ms measures nothing", c.duration)
	case c.rounds < 1:
		return fmt.Errorf("-rounds is %d: at least 1 is needed", c.rounds)
	case c.sizes[0] < 10*most:
		return fmt.Errorf("-sizes: %d sessions are too few for %d workers", c.sizes[0], most)
	case most > 200:
		return errors.New("-concurrency: up to 200 workers are possible")
	}
	return nil
}

// mainSize is the size that all operations are measured with.
func (c config) mainSize() int {
	more, _ := slices.BinarySearch(c.sizes, mainSize+1)
	return c.sizes[max(more-1, 0)]
}

// mainWorkers is at how many workers the targets are looked at.
func (c config) mainWorkers() int {
	if slices.Contains(c.workers, mainWorkers) {
		return mainWorkers
	}
	return slices.Max(c.workers)
}

// checkDisk refuses to begin where there is no disk, or what would fill it.
func (c config) checkDisk() error {
	free, inMemory := machine.FreeDisk(c.dir)
	if inMemory {
		return fmt.Errorf("%s is in memory, and what is measured has to be kept: name a folder on a disk with -dir", c.dir)
	}
	need := int64(bytesBesides)
	for _, size := range c.sizes {
		need += int64(size) * bytesPerSession
	}
	if free < need {
		return fmt.Errorf("%s has %d GB left, and up to %d GB are needed for %v sessions: name another folder with -dir, or fewer with -sizes",
			c.dir, free>>30, need>>30+1, c.sizes)
	}
	return nil
}

// folder is where the pictures and the results go.
func (c config) folder() string {
	return strings.TrimSuffix(c.out, filepath.Ext(c.out))
}

// results is where the results are.
func (c config) results() string { return filepath.Join(c.folder(), "results.json") }

// either chooses between what a full run does and what a quick one does.
func either[T any](c config, full, quick T) T {
	if c.quick {
		return quick
	}
	return full
}
