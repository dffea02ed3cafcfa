//go:build unix

package shards_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// The cost of an operation on one database, on a router with only that one, with two and three
// databases of one server, and with three schemas of one database: the processor time of this process
// and of the connections to PostgreSQL. Databases that take turns on the same cores find less in their
// caches; three stores that know nothing of each other show how much of the cost that is. The
// installations take turns every few operations, so that whatever else the machine does concerns all
// of them. Only figures from a quiet machine mean anything.
//
//	go test ./internal/shards -run '^$' -bench Shards -benchtime 10000x -count 5
func BenchmarkShards(b *testing.B) {
	databases := func(n int) (urls []string) {
		for range n {
			urls = append(urls, testdb.URL(b))
		}
		return urls
	}
	const population = 300
	var installations []*installation
	for _, on := range []struct {
		name string
		urls []string
	}{
		{"stores=1", databases(1)},
		{"stores=3", databases(3)},
		{"shards=1", databases(1)},
		{"shards=2", databases(2)},
		{"shards=3", databases(3)},
		{"schemas=3", testdb.SchemaURLs(b)},
	} {
		in := &installation{name: on.name}
		for _, url := range on.urls {
			cfg, err := pgxpool.ParseConfig(url)
			if err != nil {
				b.Fatal(err)
			}
			cfg.MaxConns = 1 // all work of a database is that of one process
			pool, err := pgxpool.NewWithConfig(b.Context(), cfg)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(pool.Close)
			in.pools = append(in.pools, pool)
		}
		rotating := config()
		rotating.Grace = 1 // ns: every refresh is the ordinary one, however soon it follows the last
		k := setup(b, testkeys.Ring(b), rotating, in.pools...)
		in.stores = []httpapi.Store{k}
		if strings.HasPrefix(in.name, "stores") {
			in.stores = nil
			for _, store := range k.stores {
				in.stores = append(in.stores, store)
			}
		}
		for i := range population {
			_, pair, err := in.store(i).Create(b.Context(), sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)})
			if err != nil {
				b.Fatal(err)
			}
			in.pairs = append(in.pairs, pair)
		}
		installations = append(installations, in)
	}

	for _, op := range []struct {
		name string
		do   func(in *installation, i int) error
	}{
		{"create", func(in *installation, i int) error {
			_, _, err := in.store(i).Create(b.Context(), sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)})
			return err
		}},
		{"get", func(in *installation, i int) error {
			_, _, err := in.store(i).Get(b.Context(), string(in.pairs[i%population].AccessToken))
			return err
		}},
		{"refresh", func(in *installation, i int) error {
			pair := &in.pairs[i%population]
			refreshed, err := in.store(i).RefreshTokensWith(b.Context(), string(pair.RefreshToken), sessionstore.RefreshOptions{})
			*pair = refreshed.Pair
			return err
		}},
		{"list", func(in *installation, i int) error {
			_, err := in.store(i).List(b.Context(), fmt.Sprintf("user-%d", i%population), sessionstore.ListParams{})
			return err
		}},
	} {
		b.Run(op.name, func(b *testing.B) {
			const turn = 250 // operations
			own, theirs := make([]time.Duration, len(installations)), make([]time.Duration, len(installations))
			for from := 0; from < b.N; from += turn {
				for n, in := range installations {
					self, backends := cpuOfSelf(b), cpuOfBackends(b, in.pools)
					for i := from; i < min(from+turn, b.N); i++ {
						if err := op.do(in, i); err != nil {
							b.Fatal(err)
						}
					}
					own[n] += cpuOfSelf(b) - self
					theirs[n] += cpuOfBackends(b, in.pools) - backends
				}
			}
			b.ReportMetric(0, "ns/op") // of all installations together: says nothing
			for n, in := range installations {
				b.ReportMetric(float64(own[n].Microseconds())/float64(b.N), in.name+"-process-µs/op")
				b.ReportMetric(float64(theirs[n].Microseconds())/float64(b.N), in.name+"-postgres-µs/op")
			}
		})
	}
}

type installation struct {
	name   string
	pools  []*pgxpool.Pool
	stores []httpapi.Store
	pairs  []sessionstore.TokenPair // of user 0, 1, ...
}

// store is the one that has user i.
func (in *installation) store(i int) httpapi.Store { return in.stores[i%len(in.stores)] }

func cpuOfSelf(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// cpuOfBackends is the processor time of each pool's one connection, as Linux counts it, to the
// nanosecond. Without /proc, or where PostgreSQL is on another machine, it is 0.
func cpuOfBackends(b *testing.B, pools []*pgxpool.Pool) (total time.Duration) {
	b.Helper()
	for _, pool := range pools {
		var pid int
		if err := pool.QueryRow(b.Context(), `SELECT pg_backend_pid()`).Scan(&pid); err != nil {
			b.Fatal(err)
		}
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
		if errors.Is(err, os.ErrNotExist) {
			continue
		} else if err != nil {
			b.Fatal(err)
		}
		spent, _, _ := strings.Cut(string(text), " ")
		nanoseconds, err := strconv.ParseInt(spent, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		total += time.Duration(nanoseconds)
	}
	return total
}
