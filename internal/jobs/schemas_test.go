package jobs_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// Of installations in one database, each works off its own reports, to its own webhook, however
// many look for jobs; and a runner that did not run yet finds the right queue.
func TestInstallationsInOneDatabaseKeepTheirReports(t *testing.T) {
	t.Parallel()
	var kits []leakKit
	var hooks []*receiver
	for _, pool := range testdb.Schemas(t) {
		k, hook := leakKit{t, pool, &syncBuffer{}}, newReceiver(t, 0)
		runner := k.runner(hook.URL)
		defer k.run(runner)()
		kits, hooks = append(kits, k), append(hooks, hook)
	}
	for i, k := range kits {
		for range 5 {
			want := report()
			k.enqueue(k.runner(hooks[i].URL), want)
			k.await("the delivery", func() bool {
				_, ids := hooks[i].received()
				return len(ids) > 0 && ids[len(ids)-1] == want.ID.String() && k.logged(want.ID) == 1
			})
		}
	}
	for i, hook := range hooks {
		if _, ids := hook.received(); len(ids) != 5 {
			t.Errorf("the webhook of installation %d got %d deliveries, want 5", i, len(ids))
		}
	}
}
