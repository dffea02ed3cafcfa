package httpapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
	"github.com/latchkey-sessions/latchkey/verifier"
)

const feedBound = 400 * time.Millisecond

// withVerifier gives a service on this database a verifier, and runs it.
func withVerifier(t *testing.T, pool *pgxpool.Pool) func(*httpapi.Config, *sessionstore.Config) {
	t.Helper()
	return withBound(t, pool, feedBound)
}

// withBound is withVerifier with another bound, and whatever else is to be changed.
func withBound(t *testing.T, pool *pgxpool.Pool, bound time.Duration, change ...func(*verifier.Config)) func(*httpapi.Config, *sessionstore.Config) {
	t.Helper()
	return func(cfg *httpapi.Config, storeCfg *sessionstore.Config) {
		keys, err := tokens.ParseKeyRing([]byte(testKeys))
		if err != nil {
			t.Fatal(err)
		}
		store, err := sessionstore.New(pool, keys, *storeCfg)
		if err != nil {
			t.Fatal(err)
		}
		verifierCfg := verifier.Config{Bound: bound, Logger: slog.New(slog.DiscardHandler)}
		for _, c := range change {
			c(&verifierCfg)
		}
		cfg.Verifier, err = store.Verifier(verifierCfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- cfg.Verifier.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run returned %v", err)
			}
		})
		for cfg.Verifier.Age() > bound {
			time.Sleep(time.Millisecond)
		}
	}
}

// feed is a service with a feed.
type feed struct {
	*service
	pool *pgxpool.Pool
}

func setupFeed(t *testing.T) feed {
	t.Helper()
	pool := testdb.Pool(t)
	return feed{setupOn(t, pool, withVerifier(t, pool)), pool}
}

// next asks for what follows a cursor.
func (f feed) next(t *testing.T, query string) map[string]any {
	t.Helper()
	return f.internal(t, "GET", "/v1/revocations"+query).want(t, 200).json(t)
}

func (f feed) revoke(t *testing.T, session session) {
	t.Helper()
	f.internal(t, "DELETE", "/v1/sessions/"+session.id).want(t, 204)
}

func since(m map[string]any) string {
	cursor, _ := m["cursor"].(string)
	return "?since=" + url.QueryEscape(cursor)
}

// sessionsIn lists what a document says was revoked.
func sessionsIn(t *testing.T, m map[string]any) []string {
	t.Helper()
	var ids []string
	for _, s := range at[[]any](t, m, "sessions") {
		one, _ := s.(map[string]any)
		ids = append(ids, at[string](t, one, "id"))
		until := time.Unix(int64(at[float64](t, one, "until")), 0)
		if left := time.Until(until); left < sessionstore.MaxAccessTokenTTL || left > sessionstore.MaxAccessTokenTTL+2*verifier.Slack {
			t.Errorf("a session is to be remembered for %v", left)
		}
	}
	return ids
}

func wantSessions(t *testing.T, m map[string]any, want ...session) {
	t.Helper()
	got := sessionsIn(t, m)
	if len(got) != len(want) {
		t.Fatalf("%d sessions, want %d: %v", len(got), len(want), m)
	}
	for i := range want {
		if got[i] != want[i].id {
			t.Errorf("session %d is %s, want %s", i, got[i], want[i].id)
		}
	}
}

func TestRevocations(t *testing.T) {
	t.Parallel()
	f := setupFeed(t)
	early, late, live := f.create(t, "ann"), f.create(t, "ann"), f.create(t, "ann")
	f.revoke(t, early)

	// The whole set first, then what is new.
	var all map[string]any
	for {
		if all = f.next(t, ""); len(at[[]any](t, all, "sessions")) > 0 {
			break
		}
	}
	if !at[bool](t, all, "reset") {
		t.Errorf("no reset: %v", all)
	}
	wantSessions(t, all, early)
	nothing := f.next(t, since(all))
	for len(sessionsIn(t, nothing)) > 0 { // a session that was revoked during the load may be reported twice
		wantSessions(t, nothing, early)
		nothing = f.next(t, since(nothing))
	}
	if _, has := nothing["reset"]; has {
		t.Error("a second reset")
	}
	f.revoke(t, late)
	wantSessions(t, f.next(t, since(nothing)+"&wait=20"), late)
	wantSessions(t, f.next(t, since(nothing)+"&wait=20"), late) // once more, from an older cursor
	if f.accepted(t, early.access) || f.accepted(t, late.access) || !f.accepted(t, live.access) {
		t.Error("the sessions are not what the feed says")
	}
}

// complete_ms is about the time after the request had come: all that was revoked
// before then, and answered, is in the answer or in an earlier one.
func TestRevocationsProof(t *testing.T) {
	t.Parallel()
	f := setupFeed(t)
	document := f.next(t, "")
	for range 10 {
		session := f.create(t, "ann")
		f.revoke(t, session)
		revoked := time.Now()
		for told := false; ; {
			sent := time.Now()
			document = f.next(t, since(document))
			told = told || len(sessionsIn(t, document)) > 0
			proof := sent.Add(time.Duration(at[float64](t, document, "complete_ms")) * time.Millisecond)
			if proof.After(time.Now()) {
				t.Fatalf("it proves what is %v ahead", time.Until(proof))
			}
			if proof.After(revoked) && !told {
				t.Fatalf("a revocation is missing %v later", proof.Sub(revoked))
			}
			if told && proof.After(revoked) {
				break
			}
		}
	}
}

// A request that waits is answered when there is news, or when it has waited.
func TestRevocationsWait(t *testing.T) {
	t.Parallel()
	f := setupFeed(t)
	session := f.create(t, "ann")
	document := f.next(t, "")
	longest := make(chan map[string]any, 1)
	go func() { longest <- f.next(t, since(document)+"&wait=30") }()
	wantSessions(t, f.next(t, since(document))) // the next proof
	began := time.Now()
	wantSessions(t, f.next(t, since(document)+"&wait=1"))
	if took := time.Since(began); took < time.Second {
		t.Errorf("it waited for %v, not 1s", took)
	}
	select {
	case early := <-longest:
		t.Fatalf("a request that may wait for 30s was answered %v before it", early)
	default:
	}
	f.revoke(t, session)
	wantSessions(t, <-longest, session)
}

// A cursor is valid at every replica.
func TestRevocationsAtAnotherReplica(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	first, second := feed{setupOn(t, pool, withVerifier(t, pool)), pool}, feed{setupOn(t, pool, withVerifier(t, pool)), pool}
	document := first.next(t, "")
	for i := range 10 {
		session := first.create(t, "ann")
		first.revoke(t, session)
		document = second.next(t, since(document))
		if !slices.Contains(sessionsIn(t, document), session.id) || document["reset"] != nil {
			t.Fatalf("%d: %v", i, document)
		}
		document = first.next(t, since(document))
	}
}

func TestRevocationsRefused(t *testing.T) {
	t.Parallel()
	f := setupFeed(t)
	f.do(t, f.server.Internal(), "GET", "/v1/revocations", header("Authorization", "")).wantProblem(t, 401, "invalid_service_key")
	f.internal(t, "GET", "/v1/revocations", bearer("another-service-key-that-nobody-has-1")).wantProblem(t, 401, "invalid_service_key")
	f.public(t, "GET", "/v1/revocations", bearer(serviceKey)).wantProblem(t, 404, "route_not_found")
	for _, query := range []string{"?since=x", "?since=a.b.0.c", "?since=a.1.256.c", "?since=a.1.0.c%0a", "?wait=31", "?wait=-1", "?wait=0.5", "?wait=x"} {
		f.internal(t, "GET", "/v1/revocations"+query).wantProblem(t, 400, "invalid_parameter")
	}
	f.internal(t, "GET", "/v1/revocations?after=x").wantProblem(t, 400, "unknown_parameter")
	// A cursor that no longer exists starts over.
	// So does one that only looks like ours, with a snapshot that PostgreSQL would refuse.
	const epoch = "7329014355519823312-01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91"
	for _, cursor := range []string{"nobody.1.0.nothing", "x.1.0." + epoch + ":5:3:", "x.1.0." + epoch + ":0:0:", "x.1.0." + epoch + ":5:9:7,6", "x.1.0." + epoch + ":5:9:99999999999999999999", "x.1.0." + epoch + ":5:9:6,"} {
		if document := f.next(t, "?since="+cursor); document["reset"] != true {
			t.Errorf("%s: no reset: %v", cursor, document)
		}
	}
}

func TestRevocationsWithoutAVerifier(t *testing.T) {
	t.Parallel()
	s := setup(t)
	answer := s.internal(t, "GET", "/v1/revocations")
	answer.wantProblem(t, 503, "unavailable")
	if answer.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}

// A replica that has just started has nothing to pass on yet.
func TestRevocationsBeforeTheyAreLoaded(t *testing.T) {
	t.Parallel()
	pool := testdb.Pool(t)
	s := setupOn(t, pool, func(cfg *httpapi.Config, storeCfg *sessionstore.Config) {
		keys, err := tokens.ParseKeyRing([]byte(testKeys))
		if err != nil {
			t.Fatal(err)
		}
		store, err := sessionstore.New(pool, keys, *storeCfg)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Verifier, err = store.Verifier(verifier.Config{}); err != nil {
			t.Fatal(err)
		}
	})
	for _, accept := range []string{"application/json", "text/event-stream"} {
		s.internal(t, "GET", "/v1/revocations", header("Accept", accept)).wantProblem(t, http.StatusServiceUnavailable, "unavailable")
	}
}

// Superseded access tokens are listed separately from the revoked sessions, not among them, where
// a verifier of an earlier release would take their sessions for revoked.
func TestRevocationsTellWhatIsSuperseded(t *testing.T) {
	t.Parallel()
	f := setupFeed(t)
	session := f.create(t, "ann")
	jti := at[string](t, f.introspected(t, session.access), "jti")
	began := f.next(t, "")
	if _, told := began["superseded"]; told {
		t.Errorf("%v", began)
	}
	etag := f.internal(t, "GET", "/v1/sessions/"+session.id+"/claims").want(t, 200).Header.Get("ETag")
	f.putClaims(t, session.id, "?supersede=true", etag, `{}`).want(t, 200)
	var told []any
	for m := began; len(told) == 0; {
		m = f.next(t, since(m)+"&wait=5")
		told, _ = m["superseded"].([]any)
		if sessions := at[[]any](t, m, "sessions"); len(sessions) > 0 {
			t.Errorf("%v are told as revoked", sessions)
		}
	}
	pair, generation, _ := strings.Cut(jti, ".a")
	if m, _ := told[0].(map[string]any); len(told) != 1 || m["pair"] != pair || generation != "0" || m["below"] != 2. {
		t.Errorf("%v, of %s at %s", told, pair, generation)
	}
	if whole := at[[]any](t, f.next(t, ""), "superseded"); !cmp.Equal(whole, told) {
		t.Errorf("a new follower gets %v, not %v", whole, told)
	}
}
