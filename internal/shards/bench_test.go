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
// databases of one server, and with three schemas of one database: the processor time of this process, and of the connections to PostgreSQL.
// Only figures from a quiet machine mean anything.
//
//	go test ./internal/shards -run '^$' -bench Shards -benchtime 5s -count 5
func BenchmarkShards(b *testing.B) {
	databases := func(n int) (urls []string) {
		for range n {
			urls = append(urls, testdb.URL(b))
		}
		return urls
	}
	for _, on := range []struct {
		name string
		urls []string
	}{
		{"store", databases(1)},
		{"shards=1", databases(1)},
		{"shards=2", databases(2)},
		{"shards=3", databases(3)},
		{"schemas=3", testdb.SchemaURLs(b)},
	} {
		pools := make([]*pgxpool.Pool, len(on.urls))
		for i, url := range on.urls {
			cfg, err := pgxpool.ParseConfig(url)
			if err != nil {
				b.Fatal(err)
			}
			cfg.MaxConns = 1 // all work of a database is that of one process
			if pools[i], err = pgxpool.NewWithConfig(b.Context(), cfg); err != nil {
				b.Fatal(err)
			}
			b.Cleanup(pools[i].Close)
		}
		k := setup(b, testkeys.Ring(b), config(), pools...)
		var store httpapi.Store = k
		name := on.name
		if name == "store" {
			store = k.stores[0]
		}
		const population = 300
		var pairs []sessionstore.TokenPair
		for i := range population {
			_, pair, err := store.Create(b.Context(), sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)})
			if err != nil {
				b.Fatal(err)
			}
			pairs = append(pairs, pair)
		}
		for _, op := range []struct {
			name string
			do   func(i int) error
		}{
			{"create", func(i int) error {
				_, _, err := store.Create(b.Context(), sessionstore.CreateParams{Subject: fmt.Sprintf("user-%d", i)})
				return err
			}},
			{"get", func(i int) error {
				_, _, err := store.Get(b.Context(), string(pairs[i%population].AccessToken))
				return err
			}},
			{"refresh", func(i int) error {
				refreshed, err := store.RefreshTokensWith(b.Context(), string(pairs[i%population].RefreshToken), sessionstore.RefreshOptions{})
				pairs[i%population] = refreshed.Pair
				return err
			}},
			{"list", func(i int) error {
				_, err := store.List(b.Context(), fmt.Sprintf("user-%d", i%population), sessionstore.ListParams{})
				return err
			}},
		} {
			b.Run(name+"/"+op.name, func(b *testing.B) {
				own, theirs := cpuOfSelf(b), cpuOfBackends(b, pools)
				for i := range b.N {
					if err := op.do(i); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((cpuOfSelf(b)-own).Microseconds())/float64(b.N), "process-cpu-µs/op")
				b.ReportMetric(float64((cpuOfBackends(b, pools)-theirs).Microseconds())/float64(b.N), "postgres-cpu-µs/op")
			})
		}
	}
}

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
