package main_test

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// With the signing keys in PostgreSQL, the loss of the first shard costs its own sessions 503 and no
// others anything, also on a replica that starts meanwhile; keys are changed again when it is back.
func TestShardsWithoutTheFirst(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]env{
		"keys in PostgreSQL": {"LATCHKEY_SIGNING_KEYS_FILE": "", "LATCHKEY_KEY_ENCRYPTION_KEY": sealingKey("a")},
		"keys in a file":     {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkWithoutTheFirst(t, keys)
		})
	}
}

// waiting is a service that waits for the first shard.
func (s *sharded) waiting(settings env) *service {
	s.t.Helper()
	api := launch(s.t, s.t.TempDir(), settings.With(env{"LATCHKEY_PUBLIC_ADDR": "127.0.0.1:0", "LATCHKEY_INTERNAL_ADDR": "127.0.0.1:0"}))
	api.Await("the wait for the database", func() bool { return strings.Contains(api.Stderr.String(), "waiting for it") })
	return api
}

func checkWithoutTheFirst(t *testing.T, keys env) {
	t.Helper()
	s := newSharded(t)
	s.settings = s.settings.With(keys)
	stored := s.settings["LATCHKEY_KEY_ENCRYPTION_KEY"] != ""
	mustAPI(t, t.TempDir(), s.settings, "migrate")
	s.servers[0].Stop()
	waits := s.waiting(s.settings) // the others have no copies yet
	s.servers[0].Start()
	waits.Await("its start", func() bool { return strings.Contains(waits.Stderr.String(), `"msg":"ready"`) })
	waits.End(syscall.SIGTERM)

	api := start(t, t.TempDir(), s.settings)
	all := s.ofEach(api)
	s.servers[0].Stop()
	check := func(api *service) {
		t.Helper()
		for i := range all {
			want := http.StatusOK
			if i == 0 {
				want = http.StatusServiceUnavailable
			}
			if status := s.refresh(api, &all[i]); status != want {
				t.Errorf("a refresh on shard %d: %d, want %d", i, status, want)
			}
			if status := api.Current(all[i].pair.AccessToken); status != want {
				t.Errorf("the session on shard %d: %d, want %d", i, status, want)
			}
		}
	}
	check(api)
	restarted := start(t, t.TempDir(), s.settings)
	check(restarted)
	if !strings.Contains(restarted.Stderr.String(), "the first shard does not answer: starting on the others") {
		t.Errorf("the log does not tell of the start without it:\n%s", restarted.Stderr)
	}
	if n := strings.Count(restarted.Stderr.String(), "they are taken from a copy"); stored && n != 1 {
		t.Errorf("the log tells %d times where the keys are from:\n%s", n, restarted.Stderr)
	}
	since := s.create(restarted, all[0].subject)
	if since.shard() == 0 {
		t.Error("a session was created on the shard that is down")
	}
	if status := s.refresh(api, &since); status != http.StatusOK {
		t.Errorf("a replica refreshes what another one has created: %d", status)
	}
	if stored {
		s.fails(s.settings, "", "keys", "rotate", "--now")
	}
	victim := s.create(restarted, "to be signed out")
	s.fails(s.settings, `shard "first"`, "sessions", "revoke", "--subject", victim.subject)
	if status := s.refresh(restarted, &victim); status != http.StatusBadRequest {
		t.Errorf("a refresh after a sign-out at the command line: %d", status)
	}
	mustLine(t, s.settings, "sessions", "show", all[1].id)
	s.fails(s.settings.With(s.shards(1, -1)), "LATCHKEY_SHARDS lacks west", "sessions", "show", all[1].id)
	if r := line(s.settings, "shards", "list"); r.code == 0 || !strings.Contains(r.stdout, "unavailable") || strings.Count(r.stdout, "open") != 2 {
		t.Errorf("shards list: %+v", r)
	}
	s.waiting(s.settings.With(s.shards(1, -1))).End(syscall.SIGTERM) // the copies know another shard

	s.servers[0].Start()
	for _, api := range []*service{api, restarted} {
		api.Await("the shard", func() bool { return s.refresh(api, &all[0]) == http.StatusOK })
	}
	if !stored {
		return
	}
	made := keyIn(t, mustLine(t, s.settings, "keys", "rotate", "--now"))
	for _, api := range []*service{api, restarted} {
		api.Await("the new key", func() bool { ids, _, _ := api.publishedKeys(); return slices.Contains(ids, made) })
		for i := range all {
			if status := s.refresh(api, &all[i]); status != http.StatusOK {
				t.Errorf("a refresh on shard %d after the rotation: %d", i, status)
			}
		}
	}
	leaked := made
	mustLine(t, s.settings, "keys", "revoke", leaked)
	s.servers[0].Stop()
	last := start(t, t.TempDir(), s.settings)
	if ids, _, _ := last.publishedKeys(); slices.Contains(ids, leaked) {
		t.Error("a key that was revoked came back from a copy")
	}
}

// A shard that is down as a replica starts is checked when it is back: where its live sessions would
// not be recognised it gets no request, so that nobody is signed out, and the log says so.
func TestAShardIsRecognisedWhenItIsBack(t *testing.T) {
	t.Parallel()
	for down, weights := range map[int]string{0: "", 1: "first:0"} {
		t.Run(fmt.Sprint(down), func(t *testing.T) {
			t.Parallel()
			s := newSharded(t)
			mustAPI(t, t.TempDir(), s.settings, "migrate")
			onlyThere := s.settings.With(s.shards(float64(down), 0))
			onlyThere["LATCHKEY_SHARDS"] += " " + weights
			api := start(t, t.TempDir(), onlyThere)
			h := s.create(api, "ada")
			if h.shard() != down {
				t.Fatalf("the session is on shard %d", h.shard())
			}
			api.Stop()
			s.servers[down].Stop()
			other := configure(t, s.servers[0].URL())["LATCHKEY_SIGNING_KEYS_FILE"]
			api = start(t, t.TempDir(), s.settings.With(env{"LATCHKEY_SIGNING_KEYS_FILE": other}))
			s.servers[down].Start()
			api.Await("the refusal in the log", func() bool {
				printed := api.Stderr.String()
				return strings.Contains(printed, "a shard cannot be used, and gets no request") && strings.Contains(printed, "live sessions would not be recognised")
			})
			if status := s.refresh(api, &h); status != http.StatusServiceUnavailable {
				t.Errorf("a refresh with other keys: %d", status)
			}
			if status := api.Current(h.pair.AccessToken); status != http.StatusServiceUnavailable {
				t.Errorf("the session with other keys: %d", status)
			}
			api.Stop()

			s.servers[down].Stop()
			api = start(t, t.TempDir(), s.settings)
			s.servers[down].Start()
			api.Await("the shard", func() bool { return s.refresh(api, &h) == http.StatusOK })
			api.Stop()
			s.fails(s.settings.With(env{"LATCHKEY_SIGNING_KEYS_FILE": other}), "live sessions would not be recognised")
		})
	}
}

// A first shard that takes connections and says nothing keeps no replica from starting on the others.
func TestShardsWithoutAFirstThatAnswers(t *testing.T) {
	t.Parallel()
	s := newSharded(t)
	s.settings = s.settings.With(env{"LATCHKEY_SIGNING_KEYS_FILE": "", "LATCHKEY_KEY_ENCRYPTION_KEY": sealingKey("a")})
	mustAPI(t, t.TempDir(), s.settings, "migrate")
	api := start(t, t.TempDir(), s.settings)
	all := s.ofEach(api)
	api.Stop()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	api = start(t, t.TempDir(), s.settings.With(env{"LATCHKEY_DATABASE_URL": "postgres://nobody:nothing@" + listener.Addr().String() + "/none?sslmode=disable&connect_timeout=1"}))
	for i := range all {
		want := http.StatusOK
		if i == 0 {
			want = http.StatusServiceUnavailable
		}
		if status := s.refresh(api, &all[i]); status != want {
			t.Errorf("a refresh on shard %d: %d, want %d", i, status, want)
		}
	}
}
