package console_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/console"
	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/replicas"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// The page shows sessions created and ended, and the service's own state.
func TestNow(t *testing.T) {
	t.Parallel()
	began := time.Now()
	k := setupWith(t, console.Service{
		Version: "1.2.3", Refreshes: func() map[string]int64 {
			return map[string]int64{"rotated": 1200, "raced": 34, "unknown_key": 7, "expired": 0}
		},
		Clock: func() (offset, uncertainty time.Duration, known bool) {
			return 3 * time.Millisecond, time.Millisecond, true
		},
		RevocationsAge: func() time.Duration { return 250 * time.Millisecond }, RevocationBound: time.Second,
		Keys: func(context.Context) ([]console.Key, error) {
			return []console.Key{{ID: "key-1", Algorithm: "ES256", State: "signs", SignsFrom: began}, {ID: "key-0", Algorithm: "EdDSA", State: "verifies"}}, nil
		},
		KeyRotation: 49 * time.Hour, LastCleanup: func(context.Context) (time.Time, error) { return began, nil }, CleanupInterval: 24 * time.Hour,
		Replicas: func(context.Context) ([]replicas.Replica, error) {
			return []replicas.Replica{
				{Name: "api-0", Version: "1.2.3", StartedAt: began, SeenAt: began, Facts: replicas.Facts{Offset: -2 * time.Millisecond, Uncertainty: 1234567, IsClockKnown: true, RevocationsAge: 321 * time.Millisecond}},
				{Name: "api-1", Version: "1.2.2", StartedAt: began, SeenAt: began, Facts: replicas.Facts{RevocationsAge: -1}},
				{Name: "api-2", Version: "1.2.2", StartedAt: began, SeenAt: began, IsSilent: true},
			}, nil
		},
		Jobs: &given{}, Events: &undelivered{dead: []int64{9, 8, 5}},
	})
	for i := range 3 {
		session, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
		if i == 0 {
			if err := k.Invalidate(t.Context(), session.ID, sessionstore.Cause{Reason: sessionstore.ReasonMaxAge}); err != nil {
				t.Fatal(err)
			}
		}
	}
	k.follow(t)
	b := k.signedIn(t, graceKey)
	b.get("/console/now")
	b.want(200, "<b>3</b> sessions are live", "<span>Created</span> <b>4</b>", "<span>Ended: too old <code>max_age</code></span> <b>1</b>", "<span>Refreshed</span> <b>1,234</b>",
		"<span>Refused: signed with an unknown key <code>unknown_key</code></span> <b>7</b>",
		"1.2.3", "3 ms ahead of the database’s, ± 1 ms", "up to 250 ms ago; 1 s is allowed", "key-1", "replaced", "in 2 days", "only verifies", "it runs every 24 h", "leak_webhook",
		"<b>api-0</b> 1.2.3", "2 ms behind the database’s, ± 1.2 ms", "known up to 321 ms before", "<b>api-1</b> 1.2.2", "Clock: not known yet. Revocations: not known yet", "<b>api-2</b>", "it was killed, or has lost the database",
		"<b>session_cleanup</b> 4", "attempt 2, on api-1")
	b.wantNot("Refused: too old", "about")

	b.submit("/console/jobs/7/again", nil)
	b.want(200, "The job is tried again")
	event := k.recorded(t, func(e map[string]any) bool { return e["event"] == "job.sent_again" })
	if diff := cmp.Diff(map[string]any{"type": "operator", "id": "grace"}, event["actor"]); diff != "" || event["job_id"] != 7.0 {
		t.Errorf("%v", event)
	}
	b.get("/console/now")
	b.want(200, "session.ended</b> to crm", "the endpoint answered 500")
	b.submit("/console/events/8/again", nil)
	b.want(200, "1 delivery is tried again")
	sent := func(e map[string]any) bool { return e["event"] == "events.sent_again" }
	event = k.recorded(t, sent)
	if diff := cmp.Diff(map[string]any{"type": "operator", "id": "grace"}, event["actor"]); diff != "" || event["count"] != 1.0 || !cmp.Equal(event["delivery_ids"], []any{8.0}) {
		t.Errorf("%v", event)
	}
	b.submit("/console/events/again", nil)
	b.want(200, "2 deliveries are tried again")
	event = k.recorded(t, func(e map[string]any) bool { return sent(e) && e["all"] == true })
	if event["count"] != 2.0 {
		t.Errorf("%v", event)
	}
	b.get("/console/now")
	b.wantNot("Send all again")
	b.submit("/console/jobs/7/again", nil) // another operator's page still has the button
	b.want(200, "There was nothing left to send again")
	b.post("/console/events/8/again", url.Values{"csrf_token": formToken.FindStringSubmatch(b.page)[1:]})
	b.want(200, "There was nothing left to send again")
	b.post("/console/jobs/7/again", nil)
	b.want(403)
}

// given is a job that was given up, until it is sent again.
type given struct{ again bool }

func (*given) Dead(context.Context) ([]jobs.Dead, error) {
	return []jobs.Dead{{ID: 7, Kind: "leak_webhook", At: time.Now(), Attempts: 34}}, nil
}

func (*given) Running(context.Context) ([]jobs.Running, error) {
	return []jobs.Running{{ID: 4, Kind: "session_cleanup", Since: time.Now(), Attempt: 2, By: "api-1"}}, nil
}

func (g *given) SendAgain(_ context.Context, id int64) error {
	if g.again || id != 7 {
		return jobs.ErrNotDead
	}
	g.again = true
	return nil
}

// undelivered are the ids of deliveries that were given up.
type undelivered struct{ dead []int64 }

func (u *undelivered) Dead(context.Context, events.DeadParams, int) ([]events.Dead, error) {
	var dead []events.Dead
	for _, id := range u.dead {
		dead = append(dead, events.Dead{ID: id, Endpoint: "crm", Type: events.TypeEnded, Session: uuid.New(), At: time.Now(), DeadAt: time.Now(), Attempts: 34, Error: "the endpoint answered 500"})
	}
	return dead, nil
}

func (u *undelivered) Resend(_ context.Context, ids []int64, _ string) (int64, error) {
	n := len(u.dead)
	u.dead = slices.DeleteFunc(u.dead, func(id int64) bool { return ids == nil || slices.Contains(ids, id) })
	return int64(n - len(u.dead)), nil
}

// Many sessions are counted alongside the page, which says how it knows.
func TestManyAreCountedBesideThePage(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.page.SetCountedAtOnce(0)
	k.create(t, sessionstore.CreateParams{Subject: "ada"})
	k.exec(t, `ANALYZE "sessionStoreToken"`)
	b := k.signedIn(t, graceKey)
	b.get("/console/now")
	b.want(200, "<b>about ", "They are being counted", "They are being counted: look again in a moment.</p>")
	b.wantNot("<span>Created</span>")

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.page.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		b.get("/console/now")
		if strings.Contains(b.page, "sessions are live, as counted at") { // a page may be made between the two counts
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("they were not counted: %s", b.page)
		}
	}
	b.want(200, "<b>2</b> sessions are live, as counted at", "From the database, as counted at", "<span>Created</span> <b>2</b>") // the operator's own is one
}

// Without metrics or keys of the service, the page shows the data from the database.
func TestNowAlone(t *testing.T) {
	t.Parallel()
	k := setup(t)
	b := k.signedIn(t, graceKey)
	b.get("/console/now")
	b.want(200, "sessions are live")
	b.wantNot("Refreshes, by the hour", "Jobs given up", "Events that could not be delivered", "Replicas", "Running jobs")
}
