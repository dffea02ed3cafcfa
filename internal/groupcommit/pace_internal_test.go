package groupcommit

import (
	"context"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// times are what a statement takes alongside work: the way there and back, and its commit.
type times struct{ way, delay, flush time.Duration }

// server is a model of PostgreSQL and of the way there. Its two processors take turns in
// slices of time, and its callers work on them too. A commit includes those whose rows
// are written when it goes to the disk; the others wait for the next.
type server struct {
	times
	fixed time.Duration // the patience of all queues; theirs if zero

	processors, log chan struct{}
	written, safe   atomic.Int64
}

// The cost of work, about as on the machine of docs/performance.md.
const (
	ofStatement = 300 * time.Microsecond
	ofRow       = 25 * time.Microsecond
	ofSending   = 150 * time.Microsecond
	ofCaller    = 50 * time.Microsecond
	slice       = 50 * time.Microsecond
)

func (s *server) work(d time.Duration) {
	for d = time.Duration(float64(d) * (0.8 + 0.4*rand.Float64())); d > 0; d -= slice {
		s.processors <- struct{}{}
		time.Sleep(min(d, slice))
		<-s.processors
	}
}

func (s *server) commit() {
	mine := s.written.Add(1)
	s.log <- struct{}{}
	defer func() { <-s.log }()
	if s.safe.Load() >= mine {
		return
	}
	time.Sleep(s.delay)
	written := s.written.Load()
	time.Sleep(s.flush)
	s.safe.Store(written)
}

func (s *server) statement(_ context.Context, all []*Call[int]) error {
	s.work(ofSending)
	time.Sleep(s.way / 2)
	began := time.Now()
	s.work(ofStatement + time.Duration(len(all))*ofRow)
	all[0].Worked(time.Since(began) * 2 / 5) // it does not know about the rest
	s.commit()
	time.Sleep(s.way / 2)
	return nil
}

// rate is how many calls per second a server answers, for a number of callers at each
// replica.
func rate(t *testing.T, s *server, replicas, callers int) (perSecond float64) {
	t.Helper()
	const measured = time.Second / 4
	settling := time.Second / 4
	if replicas > 1 {
		settling = time.Second // each of them has few statements to learn from
	}
	synctest.Test(t, func(t *testing.T) {
		s.processors, s.log = make(chan struct{}, 2), make(chan struct{}, 1)
		var answered atomic.Int64
		var isOver atomic.Bool
		var all sync.WaitGroup
		for range replicas {
			q := New(max(16, callers), s.statement, func(error) bool { return true })
			q.pace.fixed = s.fixed
			for range callers {
				all.Go(func() {
					for !isOver.Load() {
						s.work(ofCaller)
						if _, err := q.Do(t.Context(), 0); err != nil {
							t.Error(err)
						}
						answered.Add(1)
					}
				})
			}
		}
		time.Sleep(settling)
		before := answered.Load()
		time.Sleep(measured)
		perSecond = float64(answered.Load()-before) / measured.Seconds()
		isOver.Store(true)
		all.Wait()
	})
	return perSecond
}

// Whatever a commit and the way take, however many call at once, and from however many
// replicas: a patience chosen with all that knowledge would not give a much higher rate.
func TestPaceFollowsTheServer(t *testing.T) {
	t.Parallel()
	fixed := []time.Duration{50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, mostPatience}
	for name, s := range map[string]times{
		"a fast disk":                   {way: 60 * time.Microsecond, flush: 100 * time.Microsecond},
		"commits of 2 ms":               {way: 60 * time.Microsecond, delay: 2 * time.Millisecond, flush: 100 * time.Microsecond},
		"1 ms away":                     {way: time.Millisecond, flush: 100 * time.Microsecond},
		"commits of 2 ms and 1 ms away": {way: time.Millisecond, delay: 2 * time.Millisecond, flush: 100 * time.Microsecond},
	} {
		for _, load := range []struct{ replicas, callers int }{{1, 1}, {1, 4}, {1, 8}, {1, 32}, {1, 128}, {60, 4}} {
			var best float64
			var by time.Duration
			for _, patience := range fixed {
				if r := rate(t, &server{times: s, fixed: patience}, load.replicas, load.callers); r > best {
					best, by = r, patience
				}
			}
			got := rate(t, &server{times: s}, load.replicas, load.callers)
			t.Logf("%s, %d × %d: %.0f a second, %.0f %% of the best, that of %v", name, load.replicas, load.callers, got, 100*got/best, by)
			if got < 0.9*best {
				t.Errorf("%s, %d × %d: %.0f a second, and with a patience of %v %.0f", name, load.replicas, load.callers, got, by, best)
			}
		}
	}
}

// However little the first statements say, the estimate finds to what later ones say.
func TestPaceGrowsAgain(t *testing.T) {
	t.Parallel()
	var p pace
	p.learn(MaxCalls, time.Microsecond)
	if got, want := p.patience(5), (ownCalls+5)*leastEach; got != want {
		t.Errorf("after a statement of a microsecond the patience is %v, want %v", got, want)
	}
	for range 200 {
		p.learn(1, time.Millisecond)
	}
	if got, want := p.patience(1), time.Millisecond; got < want {
		t.Errorf("after statements of a millisecond the patience is %v", got)
	}
}

// A statement's patience is what its calls and it cost; one that is slow by chance changes
// little.
func TestPatience(t *testing.T) {
	t.Parallel()
	var p pace
	p.learn(4, 0)
	if got := p.patience(1); got != mostPatience {
		t.Errorf("before anything is known the patience is %v", got)
	}
	p.learn(4, (toldCalls+4)*time.Microsecond)
	if got, want := p.patience(10), (ownCalls+10)*time.Microsecond; got != want {
		t.Errorf("after a microsecond for each call the patience is %v, want %v", got, want)
	}
	p.learn(4, time.Second)
	if got, want := p.patience(10), (ownCalls+10)*(time.Microsecond+time.Microsecond/memory); got != want {
		t.Errorf("after a statement of a second the patience is %v, want %v", got, want)
	}
	p = pace{}
	if p.learn(4, time.Second); p.patience(10) != mostPatience {
		t.Errorf("of a server that takes a second the patience is %v", p.patience(10))
	}
}

// A queue learns from statements that succeed, by whichever of their calls knows how long
// the server worked.
func TestStatementsTeach(t *testing.T) {
	t.Parallel()
	q := newNumbers()
	crowd(t, q, 10, func(_ context.Context, all []*Call[int]) error {
		all[3].Worked((toldCalls + 10) * time.Microsecond)
		return nil
	})
	if q.pace.each != time.Microsecond {
		t.Errorf("a call costs %v", q.pace.each)
	}
	crowd(t, q, 10, func(_ context.Context, all []*Call[int]) error {
		all[0].Worked(time.Second)
		return errDown
	})
	if q.pace.each != time.Microsecond {
		t.Errorf("after a statement that failed a call costs %v", q.pace.each)
	}
}

// A call waits for as long as the latest statement delays the next, or until that one ends.
// The end of an earlier statement does not matter.
func TestCallsWaitForTheLatestStatement(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		sent := map[string]time.Duration{}
		var mu sync.Mutex
		q := New(16, func(_ context.Context, all []*Call[string]) error {
			mu.Lock()
			for _, c := range all {
				sent[c.Of] = time.Since(began)
			}
			mu.Unlock()
			if all[0].Of == "quick" {
				time.Sleep(20 * time.Millisecond)
				return nil
			}
			time.Sleep(150 * time.Millisecond)
			return nil
		}, func(error) bool { return true })
		q.pace.fixed = 100 * time.Millisecond
		var all sync.WaitGroup
		arrives := map[string]time.Duration{
			"first": 0, "second": 110 * time.Millisecond, "third": 120 * time.Millisecond, "fourth": 130 * time.Millisecond,
			"quick": time.Second, "fifth": time.Second + 10*time.Millisecond,
		}
		for call, at := range arrives {
			all.Go(func() {
				time.Sleep(at)
				_, _ = q.Do(t.Context(), call)
			})
		}
		all.Wait()
		want := maps.Clone(arrives)
		want["third"], want["fourth"] = 210*time.Millisecond, 210*time.Millisecond // though the first has ended at 150 ms
		want["fifth"] = time.Second + 20*time.Millisecond
		if !maps.Equal(sent, want) {
			t.Errorf("calls are sent at %v, want %v", sent, want)
		}
	})
}

// However impatient a queue is, no more statements are under way than there are connections
// for; and those are used.
func TestStatementsUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const connections, callers = 2, 5
		var underWay, most atomic.Int64
		q := New(connections, func(context.Context, []*Call[int]) error {
			most.Store(max(most.Load(), underWay.Add(1)))
			time.Sleep(time.Second)
			underWay.Add(-1)
			return nil
		}, func(error) bool { return true })
		q.pace.fixed = time.Millisecond
		var all sync.WaitGroup
		for range callers {
			time.Sleep(10 * time.Millisecond)
			all.Go(func() { _, _ = q.Do(t.Context(), 0) })
		}
		all.Wait()
		if most.Load() != connections {
			t.Errorf("%d statements were under way at once, want %d", most.Load(), connections)
		}
	})
}
