package events_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Replicas are killed again and again, in the middle of whatever they do: no event is
// lost, and those of each session come in their order.
func TestKilledReplicas(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	stop := k.run(t, endpointOf("receiver", r.URL)) // sessions note who creates them from here on
	stop()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var killing sync.WaitGroup
	defer killing.Wait()
	defer cancel()
	for range 2 {
		killing.Go(func() {
			for ctx.Err() == nil {
				replica := exec.CommandContext(ctx, program)
				replica.Env = append(os.Environ(), "EVENTS_DATABASE="+k.url, "EVENTS_ENDPOINT="+r.URL)
				if err := replica.Start(); err != nil {
					return // it is over
				}
				select {
				case <-time.After(time.Duration(rand.Int64N(int64(2 * time.Second)))):
				case <-ctx.Done():
				}
				_ = replica.Process.Kill() // SIGKILL
				_ = replica.Wait()
			}
		})
	}

	const sessions = 300
	want := map[string][]events.Type{}
	for range sessions {
		id := k.create(t, sessionstore.CreateParams{})
		want[id.String()] = []events.Type{events.TypeCreated, events.TypeEnded}
		k.end(t, id)
		time.Sleep(20 * time.Millisecond)
	}
	// One that nobody kills takes over what the last ones had begun.
	cancel()
	killing.Wait()
	k.run(t, endpointOf("receiver", r.URL))
	r.await(2 * sessions)
	got := map[string][]events.Type{}
	for _, e := range r.all() {
		got[e.session()] = append(got[e.session()], e.Type)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Several replicas share the work: each event is delivered by one of them.
func TestReplicasDeliverOnce(t *testing.T) {
	t.Parallel()
	k, r := setup(t), newReceiver(t)
	var deliveries sync.Map
	r.answer = func(e told) int {
		if _, again := deliveries.LoadOrStore(e.id, true); again {
			t.Errorf("again: %+v", e)
		}
		return 200
	}
	k.run(t, endpointOf("receiver", r.URL))
	k.run(t, endpointOf("receiver", r.URL))
	for range 50 {
		k.end(t, k.create(t, sessionstore.CreateParams{}))
	}
	r.await(100)
	k.await(t, `SELECT count(*) = 0 FROM "sessionStoreDelivery"`)
}
