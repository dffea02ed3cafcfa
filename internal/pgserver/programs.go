//go:build unix

package pgserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// ErrNoPrograms says that this machine has no PostgreSQL programs that are usable.
var ErrNoPrograms = errors.New("no PostgreSQL here")

// oldestMajor is the oldest version of PostgreSQL that its makers still maintain.
const oldestMajor = 14

// Programs is one installed version of PostgreSQL.
type Programs struct {
	Bin          string // the folder with postgres and initdb
	Major, Minor int
}

// Version returns the version as PostgreSQL writes it: 17.5.
func (p Programs) Version() string {
	return fmt.Sprintf("%d.%d", p.Major, p.Minor)
}

func (p Programs) path(program string) string {
	return filepath.Join(p.Bin, program)
}

// Find returns the newest PostgreSQL programs on this machine that we can run, downloaded earlier or
// installed, or [ErrNoPrograms].
func Find(ctx context.Context) (Programs, error) {
	a, err := accountFor("")
	if err != nil {
		return Programs{}, err
	}
	have := search{patterns: installed(cacheDir(a, "")), path: "postgres"}.run(ctx, a)
	if len(have) == 0 {
		return Programs{}, ErrNoPrograms
	}

	return have[0], nil
}

// installed are the folders into which packages put the programs, and those of downloaded
// programs.
func installed(cache string) []string {
	return []string{
		"/usr/lib/postgresql/*/bin",              // Debian, Ubuntu
		"/usr/pgsql-*/bin",                       // PostgreSQL's own packages for Red Hat's systems
		"/usr/libexec/postgresql*",               // Alpine
		"/opt/homebrew/opt/postgresql@*/bin",     // Homebrew on Apple's processors
		"/usr/local/opt/postgresql@*/bin",        // Homebrew on Intel's
		filepath.Join(cache, "postgresql-*/bin"), // see download
	}
}

// search says where to look for programs.
type search struct {
	patterns []string
	path     string // the program to look up on the PATH; "": none
}

// run returns the usable programs, newest first; of the same version, the one on the PATH first.
func (s search) run(ctx context.Context, a account) []Programs {
	var bins []string
	if s.path != "" {
		if program, err := exec.LookPath(s.path); err == nil {
			// A link to one program does not lead to the others next to it.
			if program, err = filepath.EvalSymlinks(program); err == nil {
				bins = append(bins, filepath.Dir(program))
			}
		}
	}
	for _, pattern := range s.patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			continue // only a cache folder with a bracket in its name can be a bad pattern
		}
		bins = append(bins, matches...)
	}

	var found []Programs
	seen := make(map[string]bool)
	for _, bin := range bins {
		bin, err := filepath.Abs(bin)
		if err != nil || seen[bin] {
			continue
		}
		seen[bin] = true
		if p, err := identify(ctx, a, bin); err == nil && p.Major >= oldestMajor {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(x, y Programs) int {
		return cmp.Or(cmp.Compare(y.Major, x.Major), cmp.Compare(y.Minor, x.Minor))
	})

	return found
}

var versionPattern = regexp.MustCompile(`^postgres \(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// identify asks the programs in bin for their version. They are run as the account would run them, so that programs that
// it cannot reach, or a package without initdb, do not count.
func identify(ctx context.Context, a account, bin string) (Programs, error) {
	if err := a.command(ctx, filepath.Join(bin, "initdb"), "--version").Run(); err != nil {
		return Programs{}, err
	}
	output, err := a.command(ctx, filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return Programs{}, err
	}
	match := versionPattern.FindStringSubmatch(string(output))
	if match == nil {
		return Programs{}, fmt.Errorf("pgserver: %s/postgres says it is %q", bin, output)
	}

	p := Programs{Bin: bin}
	if p.Major, err = strconv.Atoi(match[1]); err != nil {
		return Programs{}, err
	}
	if match[2] != "" { // a beta has no minor version
		if p.Minor, err = strconv.Atoi(match[2]); err != nil {
			return Programs{}, err
		}
	}

	return p, nil
}

// obtain returns the programs on this machine or, if none has the requested major version (0: any), downloaded ones
// as well.
func obtain(ctx context.Context, a account, s search, d download, major int) ([]Programs, error) {
	have := s.run(ctx, a)
	if major == 0 && len(have) > 0 || slices.ContainsFunc(have, func(p Programs) bool { return p.Major == major }) {
		return have, nil
	}
	if major != 0 && major != downloadMajor {
		if len(have) > 0 {
			return have, nil // the caller's error names the requested version
		}
		return nil, fmt.Errorf("pgserver: %w: install PostgreSQL %d, which made the database, or set LATCHKEY_DATABASE_URL", ErrNoPrograms, major)
	}

	bin, err := d.run(ctx)
	var p Programs
	if err == nil {
		p, err = identify(ctx, a, bin)
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("pgserver: %w", ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("pgserver: %w, and it could not be downloaded (%w): install PostgreSQL (apt install postgresql, brew install postgresql), "+
			"or run `docker compose up`, or set LATCHKEY_DATABASE_URL to a database that you have", ErrNoPrograms, err)
	}

	return append(have, p), nil
}

func versions(all []Programs) string {
	names := make([]string, 0, len(all))
	for _, p := range all {
		names = append(names, p.Version())
	}

	return strings.Join(names, ", ")
}
