package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/machine"
)

// config is what the command line says.
type config struct {
	quick, render  bool
	sizes, workers numbers
	duration       time.Duration
	rounds, sample int
	only           *regexp.Regexp
	out, dir       string
	serviceConns   int
	noRivals       bool
	hugePages      bool
	arguments      []string
}

const (
	// mainWorkers is where most is measured, and what the targets are about.
	mainWorkers = 32
	// mainSize is the most sessions that all operations are measured with.
	mainSize = 1_000_000

	// bytesPerSession is what a session takes on the disk, with its indexes and a share of the WAL: generously.
	bytesPerSession = 1400
	// bytesBesides are for the WAL and for the rivals.
	bytesBesides = 3 << 30
)

func parseFlags(arguments []string, usage io.Writer) (config, error) {
	full := config{sizes: numbers{10_000, 1_000_000, 10_000_000}, workers: numbers{1, 8, 32, 128}, duration: 2500 * time.Millisecond, rounds: 3}
	quick := config{sizes: numbers{10_000}, workers: numbers{32}, duration: 500 * time.Millisecond, rounds: 2}
	c, err := full.parse(arguments, usage)
	if err == nil && c.quick {
		c, err = quick.parse(arguments, usage)
	}
	if err != nil {
		return c, err
	}

	return c, c.check()
}

// parse reads the flags, with defaults of its own.
func (c config) parse(arguments []string, usage io.Writer) (config, error) {
	c.arguments = arguments
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.BoolVar(&c.quick, "quick", false, "a first look, in under two minutes: 10000 sessions, 32 workers, 2 rounds of 500ms")
	flags.BoolVar(&c.render, "render", false, "write the report again, from the results of the last run beside it")
	flags.Var(&c.sizes, "sizes", "numbers of `sessions`, separated by commas")
	flags.Var(&c.workers, "concurrency", "numbers of `workers`, separated by commas")
	flags.DurationVar(&c.duration, "duration", c.duration, "how long a round of an operation is measured")
	flags.IntVar(&c.rounds, "rounds", c.rounds, "rounds at 32 workers and of the sizes")
	flags.IntVar(&c.sample, "sample", 100_000, "how many `sessions`, spread over all, are used")
	flags.Func("only", "measure only the operations whose name (\"packages: refresh\") the `pattern` matches; no report is written", func(pattern string) (err error) {
		c.only, err = regexp.Compile(pattern)
		return err
	})
	flags.StringVar(&c.out, "out", "../docs/performance.md", "where the report goes; pictures and results go into the folder of the same name beside it")
	flags.StringVar(&c.dir, "dir", temporary(), "`folder` below which the database is made, on the disk that is to be measured")
	flags.IntVar(&c.serviceConns, "service-connections", 0, "the service's database `connections` (default its own)")
	flags.BoolVar(&c.hugePages, "huge-pages", false, "reserve huge pages for PostgreSQL, as its manual advises, and give them back at the end; for root")
	flags.BoolVar(&c.noRivals, "no-rivals", false, "leave out the other session stores")
	if err := flags.Parse(arguments); err != nil {
		return c, err
	}
	if flags.NArg() > 0 {
		return c, fmt.Errorf("%q is no flag", flags.Arg(0))
	}

	return c, nil
}

// numbers are at least 1, ascending, each once.
type numbers []int

// String is for the flag's default.
func (n *numbers) String() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint([]int(*n)), " ", ","), "[]")
}

// Set reads a flag.
func (n *numbers) Set(text string) error {
	*n = nil
	for part := range strings.SplitSeq(text, ",") {
		number, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || number < 1 {
			return fmt.Errorf("%q is no number from 1 on", part)
		}
		*n = append(*n, number)
	}
	slices.Sort(*n)
	*n = slices.Compact(*n)

	return nil
}

// temporary is a folder for temporary files that is on a disk, if there is one.
func temporary() string {
	for _, dir := range []string{os.TempDir(), "/var/tmp"} {
		if _, err := os.Stat(dir); err == nil && !machine.InMemory(dir) {
			return dir
		}
	}

	return os.TempDir()
}

func (c config) check() error {
	switch {
	case c.duration < 100*time.Millisecond:
		return fmt.Errorf("-duration is %v: less than 100ms measures nothing", c.duration)
	case c.rounds < 1:
		return fmt.Errorf("-rounds is %d: at least 1 is needed", c.rounds)
	case c.sizes[0] < 10*slices.Max(c.workers):
		return fmt.Errorf("-sizes: %d sessions are too few for %d workers", c.sizes[0], slices.Max(c.workers))
	case c.sample < 10*slices.Max(c.workers):
		return fmt.Errorf("-sample: %d sessions are too few for %d workers", c.sample, slices.Max(c.workers))
	case slices.Max(c.workers) > 200:
		return errors.New("-concurrency: up to 200 workers are possible")
	}

	return nil
}

// mainSize is the size that all operations are measured with.
func (c config) mainSize() int {
	size := c.sizes[0]
	for _, s := range c.sizes {
		if s <= mainSize {
			size = s
		}
	}

	return size
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
	if machine.InMemory(c.dir) {
		return fmt.Errorf("%s is in memory, and what is measured has to be kept: name a folder on a disk with -dir", c.dir)
	}
	free, err := machine.FreeDisk(c.dir)
	if err != nil {
		return err
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
