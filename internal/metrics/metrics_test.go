package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/httpapi"
	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/internal/testkeys"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// compare fails the test unless the named metrics are as in the text.
func (m *measured) compare(t *testing.T, want string, names ...string) {
	t.Helper()
	if err := testutil.GatherAndCompare(m.Gatherer(), strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

// verify fails the test unless the error is the expected one.
func verify(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("%v, want %v", err, want)
	}
}

// Each case of a refresh once, and what else became of the sessions.
func TestSessionsAreCounted(t *testing.T) {
	t.Parallel()
	m := setup(t)
	ctx, gone := t.Context(), func(_ sessionstore.Refreshed, err error) error { return err }
	present := func(store *sessionstore.Store, ctx context.Context, token tokens.Secret) error {
		return gone(store.RefreshTokens(ctx, string(token), sessionstore.Client{}))
	}

	_, first := m.create(t)
	second := refresh(ctx, t, m.store, first.RefreshToken, sessionstore.Rotated)
	refresh(ctx, t, m.store, first.RefreshToken, sessionstore.Raced)
	const forget = `UPDATE "sessionStoreToken" SET "grace" = NULL` // which is then that of the store
	m.exec(t, forget)
	refresh(ctx, t, m.hasty, first.RefreshToken, sessionstore.RetriedLate)
	m.exec(t, forget)
	refresh(ctx, t, m.store, second.RefreshToken, sessionstore.StillFresh)
	refresh(ctx, t, m.hasty, second.RefreshToken, sessionstore.Rotated)
	verify(t, present(m.hasty, ctx, first.RefreshToken), sessionstore.ErrReuse)
	verify(t, present(m.store, ctx, second.RefreshToken), sessionstore.ErrEnded)

	lost, pair := m.create(t)
	next := refresh(ctx, t, m.hasty, pair.RefreshToken, sessionstore.Rotated)
	m.exec(t, `UPDATE "sessionStoreToken" SET "generation" = 0 WHERE "session" = $1`, lost.ID)
	refresh(ctx, t, m.hasty, next.RefreshToken, sessionstore.Healed)
	m.exec(t, `DELETE FROM "sessionStore" WHERE "id" = $1`, lost.ID)
	verify(t, present(m.store, ctx, next.RefreshToken), sessionstore.ErrNotFound)
	verify(t, present(m.store, ctx, "nonsense"), tokens.ErrInvalid)
	verify(t, present(m.store, ctx, m.foreign(t, testkeys.Ring(t), issuer, "")), tokens.ErrUnknownKey)
	verify(t, present(m.store, ctx, m.foreign(t, m.keys, "https://other.test", "")), tokens.ErrWrongIssuer)
	verify(t, present(m.store, ctx, m.foreign(t, m.keys, issuer, "https://other.test/token")), tokens.ErrWrongAudience)
	verify(t, present(m.store, ctx, m.expired(t)), tokens.ErrExpired)

	ended, pair := m.create(t)
	for range 2 { // the second time there is nothing left to revoke
		if err := m.store.Invalidate(ctx, ended.ID); err != nil {
			t.Fatal(err)
		}
	}
	m.create(t)
	m.create(t)
	if n, err := m.store.InvalidateSubject(ctx, subject, ended.ID); err != nil || n != 2 {
		t.Fatalf("revoked %d: %v", n, err)
	}

	_, bound, err := m.store.Create(ctx, sessionstore.CreateParams{KeyThumbprint: thumbprint})
	if err != nil {
		t.Fatal(err)
	}
	verify(t, present(m.store, ctx, bound.RefreshToken), sessionstore.ErrNotProven)
	_, err = m.store.RefreshTokensWith(ctx, string(bound.RefreshToken), sessionstore.RefreshOptions{KeyThumbprint: thumbprint, Scope: "admin"})
	verify(t, err, sessionstore.ErrScope)
	_, err = m.store.RefreshTokensWith(ctx, string(bound.RefreshToken), sessionstore.RefreshOptions{KeyThumbprint: thumbprint, Resources: []string{"other"}})
	verify(t, err, sessionstore.ErrResource)
	_, err = m.store.RefreshTokensWith(ctx, string(bound.RefreshToken), sessionstore.RefreshOptions{KeyThumbprint: thumbprint, ClientID: "other"})
	verify(t, err, sessionstore.ErrOtherClient)

	for _, id := range []string{"agent", "latchkey", "not configured any more", ""} { // each ends the one before it
		if _, _, err := m.hasty.Create(ctx, sessionstore.CreateParams{Subject: "one-session-only", ClientID: id}); err != nil {
			t.Fatal(err)
		}
	}

	// Several that end at once are each their client's.
	for _, id := range []string{"agent", "agent", "latchkey", "not configured any more"} {
		if _, _, err := m.store.Create(ctx, sessionstore.CreateParams{Subject: "many-clients", ClientID: id}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := m.store.InvalidateSubject(ctx, "many-clients", uuid.Nil); err != nil || n != 4 {
		t.Fatalf("revoked %d: %v", n, err)
	}

	guest, _ := m.create(t)
	if _, _, err := m.store.Replace(ctx, sessionstore.Replaced{SessionID: guest.ID}, sessionstore.CreateParams{}); err != nil {
		t.Fatal(err)
	}

	// Clients are counted separately; all unknown ones count as one.
	for _, id := range []string{"agent", "not configured any more"} {
		session, pair, err := m.store.Create(ctx, sessionstore.CreateParams{ClientID: id})
		if err != nil {
			t.Fatal(err)
		}
		refresh(ctx, t, m.store, pair.RefreshToken, sessionstore.Rotated)
		if err := m.store.Invalidate(ctx, session.ID); err != nil {
			t.Fatal(err)
		}
	}

	late, cancel := context.WithTimeout(ctx, 0)
	defer cancel()
	verify(t, present(m.store, late, pair.RefreshToken), sessionstore.ErrUnavailable)
	away, cancel := context.WithCancel(ctx)
	cancel()
	verify(t, present(m.store, away, pair.RefreshToken), sessionstore.ErrUnavailable)

	m.compare(t, `
		# HELP latchkey_sessions_created_total Sessions that were created.
		# TYPE latchkey_sessions_created_total counter
		latchkey_sessions_created_total{client=""} 3
		latchkey_sessions_created_total{client="agent"} 4
		latchkey_sessions_created_total{client="latchkey"} 12
		# HELP latchkey_sessions_revoked_total Sessions that were revoked: on request, because a refresh token was stolen, because their subject had too many, or because another session took their place.
		# TYPE latchkey_sessions_revoked_total counter
		latchkey_sessions_revoked_total{cause="asked",client=""} 2
		latchkey_sessions_revoked_total{cause="asked",client="agent"} 3
		latchkey_sessions_revoked_total{cause="asked",client="latchkey"} 4
		latchkey_sessions_revoked_total{cause="limit",client=""} 1
		latchkey_sessions_revoked_total{cause="limit",client="agent"} 1
		latchkey_sessions_revoked_total{cause="limit",client="latchkey"} 1
		latchkey_sessions_revoked_total{cause="replaced",client=""} 0
		latchkey_sessions_revoked_total{cause="replaced",client="agent"} 0
		latchkey_sessions_revoked_total{cause="replaced",client="latchkey"} 1
		latchkey_sessions_revoked_total{cause="stolen",client=""} 0
		latchkey_sessions_revoked_total{cause="stolen",client="agent"} 0
		latchkey_sessions_revoked_total{cause="stolen",client="latchkey"} 1
		# HELP latchkey_refreshes_total Refresh tokens that were presented, by outcome.
		# TYPE latchkey_refreshes_total counter
		latchkey_refreshes_total{client="",outcome="abandoned"} 1
		latchkey_refreshes_total{client="",outcome="expired"} 1
		latchkey_refreshes_total{client="",outcome="failed"} 0
		latchkey_refreshes_total{client="",outcome="healed"} 0
		latchkey_refreshes_total{client="agent",outcome="healed"} 0
		latchkey_refreshes_total{client="latchkey",outcome="healed"} 1
		latchkey_refreshes_total{client="",outcome="invalid"} 1
		latchkey_refreshes_total{client="",outcome="no_proof"} 0
		latchkey_refreshes_total{client="",outcome="not_proven"} 1
		latchkey_refreshes_total{client="",outcome="other_client"} 1
		latchkey_refreshes_total{client="",outcome="raced"} 0
		latchkey_refreshes_total{client="agent",outcome="raced"} 0
		latchkey_refreshes_total{client="latchkey",outcome="raced"} 1
		latchkey_refreshes_total{client="",outcome="refused"} 1
		latchkey_refreshes_total{client="",outcome="resource"} 1
		latchkey_refreshes_total{client="",outcome="retried_late"} 0
		latchkey_refreshes_total{client="agent",outcome="retried_late"} 0
		latchkey_refreshes_total{client="latchkey",outcome="retried_late"} 1
		latchkey_refreshes_total{client="",outcome="rotated"} 1
		latchkey_refreshes_total{client="agent",outcome="rotated"} 1
		latchkey_refreshes_total{client="latchkey",outcome="rotated"} 3
		latchkey_refreshes_total{client="",outcome="scope"} 1
		latchkey_refreshes_total{client="",outcome="still_fresh"} 0
		latchkey_refreshes_total{client="agent",outcome="still_fresh"} 0
		latchkey_refreshes_total{client="latchkey",outcome="still_fresh"} 1
		latchkey_refreshes_total{client="",outcome="stolen"} 1
		latchkey_refreshes_total{client="",outcome="unavailable"} 1
		latchkey_refreshes_total{client="",outcome="unknown"} 1
		latchkey_refreshes_total{client="",outcome="unknown_key"} 1
		latchkey_refreshes_total{client="",outcome="wrong_audience"} 1
		latchkey_refreshes_total{client="",outcome="wrong_issuer"} 1
		# HELP latchkey_refresh_tokens_stolen_total Stolen refresh tokens, by kind: presented when only a thief or the victim could have sent them.
		# TYPE latchkey_refresh_tokens_stolen_total counter
		latchkey_refresh_tokens_stolen_total{kind="lockstep"} 0
		latchkey_refresh_tokens_stolen_total{kind="old"} 1
		latchkey_refresh_tokens_stolen_total{kind="stale"} 0
		latchkey_refresh_tokens_stolen_total{kind="unproven"} 0
		# HELP latchkey_leak_reports_delayed_total Reports of stolen refresh tokens that could not be enqueued at once. They are kept with their sessions, and enqueued later.
		# TYPE latchkey_leak_reports_delayed_total counter
		latchkey_leak_reports_delayed_total 0
		# HELP latchkey_database_errors_total Operations on sessions that failed because the database failed or did not answer in time.
		# TYPE latchkey_database_errors_total counter
		latchkey_database_errors_total{operation="create"} 0
		latchkey_database_errors_total{operation="get"} 0
		latchkey_database_errors_total{operation="list"} 0
		latchkey_database_errors_total{operation="load"} 0
		latchkey_database_errors_total{operation="patch"} 0
		latchkey_database_errors_total{operation="refresh"} 1
		latchkey_database_errors_total{operation="revoke"} 0
		latchkey_database_errors_total{operation="set_claims"} 0
		latchkey_database_errors_total{operation="update"} 0
	`, "latchkey_sessions_created_total", "latchkey_sessions_revoked_total", "latchkey_refreshes_total",
		"latchkey_refresh_tokens_stolen_total", "latchkey_leak_reports_delayed_total", "latchkey_database_errors_total")
}

// Whatever a caller sends, a label has only what we have written.
func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	m := setup(t)
	for range 3 {
		send(t, m.server.Internal(), "POST", "/v1/sessions", serviceKey, `{"data":{}}`)
	}
	send(t, m.server.Internal(), "GET", "/v1/sessions/01a1fb4c-2568-766b-bcd8-5545f79f04da", serviceKey, "")
	send(t, m.server.Public(), "BREW", "/made-up", "", "")
	send(t, m.server.Public(), "GET", "/made-up/"+secretData, "", "")
	m.compare(t, `
		# HELP latchkey_http_requests_total Requests that were answered.
		# TYPE latchkey_http_requests_total counter
		latchkey_http_requests_total{listener="internal",method="GET",route="/v1/sessions/{id}",status="404"} 1
		latchkey_http_requests_total{listener="internal",method="POST",route="/v1/sessions",status="201"} 3
		latchkey_http_requests_total{listener="public",method="GET",route="none",status="404"} 1
		latchkey_http_requests_total{listener="public",method="other",route="none",status="405"} 1
		# HELP latchkey_http_requests_in_flight Requests that are being answered.
		# TYPE latchkey_http_requests_in_flight gauge
		latchkey_http_requests_in_flight{listener="internal"} 0
		latchkey_http_requests_in_flight{listener="public"} 0
	`, "latchkey_http_requests_total", "latchkey_http_requests_in_flight")
	if text := m.scrape(t); !strings.Contains(text, `latchkey_http_request_duration_seconds_count{listener="internal",method="POST",route="/v1/sessions"} 3`) {
		t.Errorf("the durations are not there: %s", text)
	}
}

// A scrape contains no token, key, data or user's id.
func TestMetricsHaveNoSecret(t *testing.T) {
	t.Parallel()
	m := setup(t)
	session, pair := m.create(t)
	for _, token := range []tokens.Secret{pair.AccessToken, pair.RefreshToken} {
		send(t, m.server.Public(), "GET", "/v1/me/sessions/current", string(token), "")
		send(t, m.server.Public(), "GET", "/"+string(token), string(token), "")
		send(t, m.server.Public(), string(token)[:20], "/v1/me/sessions", "", "")
		send(t, m.server.Public(), "POST", "/oauth2/token", "", "grant_type=refresh_token&refresh_token="+string(token))
		send(t, m.server.Internal(), "GET", "/v1/sessions/"+session.ID.String(), serviceKey, "")
	}
	text := m.scrape(t)
	for _, secret := range []string{
		string(pair.AccessToken)[:20], string(pair.RefreshToken)[:20], serviceKey, secretData, session.ID.String(), subject,
	} {
		if strings.Contains(text, secret) {
			t.Errorf("/metrics has %q:\n%s", secret, text)
		}
	}
}

func TestMetricsAreWellNamed(t *testing.T) {
	t.Parallel()
	m := setup(t)
	m.Pools(map[string]*pgxpool.Pool{"requests": m.pool})
	m.Revocations(follower{age: time.Second, remembered: 3}, time.Second)
	m.Learn(t.Context(), everything(m))
	m.JobFailed("leak_webhook", true)
	m.Attempted("crm", nil, false)
	m.create(t)
	send(t, m.server.Internal(), "GET", "/livez", "", "")
	problems, err := testutil.GatherAndLint(m.Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// follower is a verifier's knowledge.
type follower struct {
	age        time.Duration
	remembered int
}

func (f follower) Age() time.Duration { return f.age }
func (f follower) Len() int           { return f.remembered }

func everything(m *measured) metrics.Source {
	return metrics.Source{
		LiveSessions: m.store.EstimateLive,
		Cleanups: []metrics.Cleanup{
			{Shard: "first", LastEnd: func(context.Context) (time.Time, error) { return time.UnixMilli(1_700_000_000_500), nil }, OldestEnded: m.store.OldestEnded},
			{Shard: "east", LastEnd: func(context.Context) (time.Time, error) { return time.Time{}, nil }, OldestEnded: func(context.Context) (time.Time, error) { return time.Time{}, nil }},
			{Shard: "west", LastEnd: away, OldestEnded: away}, // since before the start
		},
		CleanupInterval: 24 * time.Hour,
		SigningKeys: func(context.Context) ([]metrics.SigningKey, error) {
			return []metrics.SigningKey{
				{State: metrics.KeyPublished, SignsFrom: time.Unix(1_800_000_000, 0)},
				{State: metrics.KeySigns, SignsFrom: time.Unix(1_600_000_000, 0)},
				{State: metrics.KeyVerifies},
				{State: metrics.KeyVerifies},
			}, nil
		},
		Endpoints: []string{"crm", "idle"},
		Events: func(context.Context) (events.Status, error) {
			return events.Status{Behind: time.Second, Endpoints: []events.EndpointStatus{{Name: "crm", Waiting: 3, Oldest: time.Minute, Dead: 1}, {Name: "gone", Dead: 7}}}, nil
		},
	}
}

func away(context.Context) (time.Time, error) { return time.Time{}, sessionstore.ErrUnavailable }

func TestFactsAreAsLastLearnt(t *testing.T) {
	t.Parallel()
	m := setup(t)
	names := []string{
		"latchkey_sessions_live_estimate", "latchkey_cleanup_last_end_timestamp_seconds", "latchkey_cleanup_interval_seconds",
		"latchkey_cleanup_oldest_left_timestamp_seconds",
		"latchkey_signing_keys", "latchkey_signing_key_since_timestamp_seconds",
		"latchkey_events_behind_seconds", "latchkey_events_waiting", "latchkey_events_oldest_seconds", "latchkey_events_dead",
	}
	m.compare(t, "", names...) // what is not known is not made up
	for range 40 {
		m.create(t)
	}
	ended, _ := m.create(t)
	if err := m.store.Invalidate(t.Context(), ended.ID); err != nil {
		t.Fatal(err)
	}
	m.exec(t, `UPDATE "sessionStore" SET "revokedAt" = '2001-09-09T01:46:40Z' WHERE "revokedAt" IS NOT NULL`)
	m.exec(t, `ANALYZE "sessionStoreToken"`)
	m.Learn(t.Context(), everything(m))
	want := `
		# HELP latchkey_sessions_live_estimate Live sessions, estimated from PostgreSQL's statistics. All replicas report the same.
		# TYPE latchkey_sessions_live_estimate gauge
		latchkey_sessions_live_estimate 40
		# HELP latchkey_cleanup_last_end_timestamp_seconds When cleanup last finished in the shard, on any replica; 0 for never.
		# TYPE latchkey_cleanup_last_end_timestamp_seconds gauge
		latchkey_cleanup_last_end_timestamp_seconds{shard="east"} 0
		latchkey_cleanup_last_end_timestamp_seconds{shard="first"} 1.7000000005e+09
		# HELP latchkey_cleanup_oldest_left_timestamp_seconds When the first of all ended sessions that remain in the shard ended; 0 for none.
		# TYPE latchkey_cleanup_oldest_left_timestamp_seconds gauge
		latchkey_cleanup_oldest_left_timestamp_seconds{shard="east"} 0
		latchkey_cleanup_oldest_left_timestamp_seconds{shard="first"} 1e+09
		# HELP latchkey_cleanup_interval_seconds How often cleanup runs (LATCHKEY_CLEANUP_INTERVAL); 0 for never.
		# TYPE latchkey_cleanup_interval_seconds gauge
		latchkey_cleanup_interval_seconds 86400
		# HELP latchkey_signing_keys Keys that tokens are signed and verified with.
		# TYPE latchkey_signing_keys gauge
		latchkey_signing_keys{state="published"} 1
		latchkey_signing_keys{state="signs"} 1
		latchkey_signing_keys{state="verifies"} 2
		# HELP latchkey_signing_key_since_timestamp_seconds Since when the current signing key has signed.
		# TYPE latchkey_signing_key_since_timestamp_seconds gauge
		latchkey_signing_key_since_timestamp_seconds 1.6e+09
		# HELP latchkey_events_behind_seconds How long ago events were last read from the sessions, by any replica.
		# TYPE latchkey_events_behind_seconds gauge
		latchkey_events_behind_seconds 1
		# HELP latchkey_events_waiting Events waiting for delivery.
		# TYPE latchkey_events_waiting gauge
		latchkey_events_waiting{endpoint="crm"} 3
		latchkey_events_waiting{endpoint="idle"} 0
		# HELP latchkey_events_oldest_seconds How long the first of them has waited; 0 for none.
		# TYPE latchkey_events_oldest_seconds gauge
		latchkey_events_oldest_seconds{endpoint="crm"} 60
		latchkey_events_oldest_seconds{endpoint="idle"} 0
		# HELP latchkey_events_dead Events that could not be delivered and are not retried automatically.
		# TYPE latchkey_events_dead gauge
		latchkey_events_dead{endpoint="crm"} 1
		latchkey_events_dead{endpoint="idle"} 0
	`
	m.compare(t, want, names...)

	// While the database is away they stay as they were; those of a shard that is no more are gone.
	noCount := func(context.Context) (int64, error) { return 0, sessionstore.ErrUnavailable }
	cleanups := []metrics.Cleanup{{Shard: "first", LastEnd: away, OldestEnded: away}, {Shard: "east", LastEnd: away, OldestEnded: away}}
	m.Learn(t.Context(), metrics.Source{LiveSessions: noCount, Cleanups: cleanups, CleanupInterval: 24 * time.Hour})
	m.compare(t, want, names...)
	m.Learn(t.Context(), metrics.Source{Cleanups: cleanups[:1], CleanupInterval: 24 * time.Hour})
	m.compare(t, strings.NewReplacer(
		"latchkey_cleanup_last_end_timestamp_seconds{shard=\"east\"} 0", "", "latchkey_cleanup_oldest_left_timestamp_seconds{shard=\"east\"} 0", "",
	).Replace(want), names...)
}

func TestRevocationsAreWatched(t *testing.T) {
	t.Parallel()
	m := setup(t)
	m.Revocations(follower{age: math.MaxInt64, remembered: 7}, 1500*time.Millisecond)
	m.compare(t, `
		# HELP latchkey_revocations_age_seconds Age of the data about revoked sessions; +Inf before there is any.
		# TYPE latchkey_revocations_age_seconds gauge
		latchkey_revocations_age_seconds +Inf
		# HELP latchkey_revocations_bound_seconds Age above which each token is checked with the database (LATCHKEY_REVOCATION_BOUND).
		# TYPE latchkey_revocations_bound_seconds gauge
		latchkey_revocations_bound_seconds 1.5
		# HELP latchkey_revocations_remembered Revoked sessions that are remembered.
		# TYPE latchkey_revocations_remembered gauge
		latchkey_revocations_remembered 7
	`, "latchkey_revocations_age_seconds", "latchkey_revocations_bound_seconds", "latchkey_revocations_remembered")
}

func TestClockIsWatched(t *testing.T) {
	t.Parallel()
	known := false
	m := setup(t)
	m.Clock(func() (offset, uncertainty time.Duration, _ bool) {
		if !known {
			return 0, 0, false
		}
		return -1500 * time.Millisecond, 2 * time.Millisecond, true
	})
	const text = `
		# HELP latchkey_clock_offset_seconds How far this machine's clock is ahead of the database's; negative if it is behind, 0 before it is known.
		# TYPE latchkey_clock_offset_seconds gauge
		latchkey_clock_offset_seconds %s
		# HELP latchkey_clock_uncertainty_seconds How far the offset may be wrong, either way; +Inf before it is known.
		# TYPE latchkey_clock_uncertainty_seconds gauge
		latchkey_clock_uncertainty_seconds %s
	`
	m.compare(t, fmt.Sprintf(text, "0", "+Inf"), "latchkey_clock_offset_seconds", "latchkey_clock_uncertainty_seconds")
	known = true
	m.compare(t, fmt.Sprintf(text, "-1.5", "0.002"), "latchkey_clock_offset_seconds", "latchkey_clock_uncertainty_seconds")
}

func TestUnsealedReadsAreCounted(t *testing.T) {
	t.Parallel()
	m := setup(t)
	m.UnsealedReads(func() int64 { return 3 })
	m.compare(t, `
		# HELP latchkey_unsealed_data_reads_total Reads of unsealed session data, although new data is sealed.
		# TYPE latchkey_unsealed_data_reads_total counter
		latchkey_unsealed_data_reads_total 3
	`, "latchkey_unsealed_data_reads_total")
}

func TestJobsAreCounted(t *testing.T) {
	t.Parallel()
	m := setup(t)
	m.Cleaned(cleanup.Summary{Expired: 5, Revoked: 4, Aged: 3, Superfluous: 2, Batches: 6, Duration: 1500 * time.Millisecond}, nil)
	m.Cleaned(cleanup.Summary{Expired: 1, Batches: 1}, sessionstore.ErrUnavailable)
	m.Jobs([]string{"leak_log", "leak_webhook"})
	m.JobFailed("leak_webhook", false)
	m.JobFailed("leak_webhook", true)
	m.compare(t, `
		# HELP latchkey_cleanup_removed_total Rows that cleanup removed: sessions that had expired, were revoked or too old, and token pairs that a session no longer needed.
		# TYPE latchkey_cleanup_removed_total counter
		latchkey_cleanup_removed_total{kind="aged"} 3
		latchkey_cleanup_removed_total{kind="expired"} 6
		latchkey_cleanup_removed_total{kind="revoked"} 4
		latchkey_cleanup_removed_total{kind="superfluous"} 2
		# HELP latchkey_cleanup_batches_total Batches that cleanup removed.
		# TYPE latchkey_cleanup_batches_total counter
		latchkey_cleanup_batches_total 7
		# HELP latchkey_cleanup_seconds_total How long cleanup ran.
		# TYPE latchkey_cleanup_seconds_total counter
		latchkey_cleanup_seconds_total 1.5
		# HELP latchkey_cleanup_failures_total Runs of cleanup that ended with an error. They are tried again.
		# TYPE latchkey_cleanup_failures_total counter
		latchkey_cleanup_failures_total 1
		# HELP latchkey_job_failures_total Attempts at a job that failed. With last="true" it is not tried again.
		# TYPE latchkey_job_failures_total counter
		latchkey_job_failures_total{kind="leak_log",last="false"} 0
		latchkey_job_failures_total{kind="leak_log",last="true"} 0
		latchkey_job_failures_total{kind="leak_webhook",last="false"} 1
		latchkey_job_failures_total{kind="leak_webhook",last="true"} 1
	`, "latchkey_cleanup_removed_total", "latchkey_cleanup_batches_total", "latchkey_cleanup_seconds_total",
		"latchkey_cleanup_failures_total", "latchkey_job_failures_total")
}

func TestDeliveriesAreCounted(t *testing.T) {
	t.Parallel()
	m := setup(t)
	m.Endpoints([]string{"crm"})
	m.Attempted("crm", nil, false)
	m.Attempted("crm", errors.New("500"), false)
	m.Attempted("crm", errors.New("500"), false)
	m.Attempted("crm", errors.New("500"), true)
	m.compare(t, `
		# HELP latchkey_event_deliveries_total Attempts to deliver an event. One that failed is tried again, one that is dead is not.
		# TYPE latchkey_event_deliveries_total counter
		latchkey_event_deliveries_total{endpoint="crm",outcome="dead"} 1
		latchkey_event_deliveries_total{endpoint="crm",outcome="delivered"} 1
		latchkey_event_deliveries_total{endpoint="crm",outcome="failed"} 2
	`, "latchkey_event_deliveries_total")
}

func TestFollowEndsWithItsContext(t *testing.T) {
	t.Parallel()
	m := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- m.Follow(ctx, metrics.Source{LiveSessions: func(context.Context) (int64, error) {
			close(asked)
			return 1, nil
		}})
	}()
	<-asked
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// To be counted costs a request and an operation nothing but a moment.
//
//nolint:paralleltest // others would allocate meanwhile
func TestAllocations(t *testing.T) {
	m := setup(t)
	ctx, requests, sessions := t.Context(), m.Requests(), m.Sessions()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "/oauth2/token", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer := httpapi.Answer{Listener: "public", Method: "POST", Route: "/oauth2/token", Status: 200, Duration: time.Millisecond}
	for name, do := range map[string]func(){
		"a request": func() { requests.End(requests.Begin("public", r), answer) },
		"a refresh": func() {
			sessions.End(sessions.Begin(ctx, sessionstore.OperationRefresh), sessionstore.Result{Operation: sessionstore.OperationRefresh, Outcome: sessionstore.Rotated})
		},
		"a failure": func() {
			sessions.End(ctx, sessionstore.Result{Operation: sessionstore.OperationRefresh, Err: sessionstore.ErrUnavailable})
		},
	} {
		if n := testing.AllocsPerRun(100, do); n != 0 {
			t.Errorf("to count %s allocates %v times", name, n)
		}
	}
}
