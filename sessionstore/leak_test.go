package sessionstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/cleanup"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// leakTable is a queue that is one table in the store's database.
type leakTable struct{ fail error }

func (q *leakTable) Enqueue(ctx context.Context, tx pgx.Tx, report sessionstore.LeakReport) error {
	if q.fail != nil {
		return q.fail
	}
	_, err := tx.Exec(ctx, `INSERT INTO "leaks" ("report") VALUES ($1)`, report)
	return err
}

func setupLeaks(t *testing.T) (kit, *leakTable) {
	t.Helper()
	queue := &leakTable{}
	cfg := config()
	cfg.Leaks = queue
	k := setupWith(t, cfg)
	k.exec(t, `CREATE TABLE "leaks" ("report" jsonb)`)
	return k, queue
}

func (k kit) reports(t *testing.T) []sessionstore.LeakReport {
	t.Helper()
	rows, err := k.pool.Query(t.Context(), `SELECT "report" FROM "leaks"`)
	if err != nil {
		t.Fatal(err)
	}
	reports, err := pgx.CollectRows(rows, pgx.RowTo[sessionstore.LeakReport])
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

func TestLeakReport(t *testing.T) {
	t.Parallel()
	k, _ := setupLeaks(t)
	phone := sessionstore.Client{Label: "Ann's phone", UserAgent: "App/4.1", IP: "192.0.2.1"}
	session, first := k.create(t, sessionstore.CreateParams{Subject: "ann", Client: phone})
	k.age(t, session.ID, time.Hour)
	updated, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{Label: "ignored", UserAgent: "App/4.2", IP: "192.0.2.2"})
	if err != nil {
		t.Fatal(err)
	}
	k.get(t, updated.Pair)
	k.age(t, session.ID, time.Minute)

	loaded, err := k.Load(t.Context(), session.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sessionstore.Client{UserAgent: "App/4.2", IP: "192.0.2.2"}, loaded.LastClient); diff != "" || loaded.Client != phone {
		t.Errorf("the client of the last rotation: %s", diff)
	}

	thief := sessionstore.Client{UserAgent: "curl/8", IP: "2001:db8::1"}
	if _, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), thief); !errors.Is(err, sessionstore.ErrReuse) {
		t.Fatal(err)
	}
	now := time.Now()
	want := []sessionstore.LeakReport{{
		SessionID: session.ID, Subject: "ann", Theft: sessionstore.Stale, Behind: 1,
		DetectedAt: now, PresentedIssuedAt: now, RotatedAt: now, IssuedAt: now.Add(-time.Minute),
		ConfirmedAt: now.Add(-time.Minute), SessionCreatedAt: now.Add(-time.Hour - time.Minute),
		PresentedBy: thief, CreatedBy: phone, RefreshedBy: sessionstore.Client{UserAgent: "App/4.2", IP: "192.0.2.2"},
	}}
	got := k.reports(t)
	if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(10*time.Second), cmpopts.IgnoreFields(sessionstore.LeakReport{}, "ID")); diff != "" {
		t.Error(diff)
	}
	// Nothing in it can be used, wherever it is shown.
	shown, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("leak", "report", got[0])
	for _, secret := range []string{string(first.RefreshToken), string(updated.Pair.RefreshToken), string(updated.Pair.AccessToken)} {
		if strings.Contains(string(shown)+log.String(), secret) {
			t.Error("the report shows a token")
		}
	}
	if !strings.Contains(log.String(), "report.theft=stale") || !strings.Contains(log.String(), "report.presented_by.ip=2001:db8::1") {
		t.Errorf("the log says %s", log.String())
	}

	// Later presentations are refused, and give no further report.
	for _, token := range []string{string(first.RefreshToken), string(updated.Pair.RefreshToken)} {
		if _, err := k.RefreshTokens(t.Context(), token, thief); !errors.Is(err, sessionstore.ErrEnded) {
			t.Errorf("after the theft: %v", err)
		}
	}
	if n := len(k.reports(t)); n != 1 {
		t.Errorf("%d reports", n)
	}
}

// A broken queue does not keep a thief signed in: the report waits with the session,
// which cleanup leaves until then, and is enqueued once.
func TestLeakReportIsNotLost(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]error{"the queue says no": errors.New("the queue is full"), "PostgreSQL says no": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, queue := setupLeaks(t)
			session, first := k.create(t, sessionstore.CreateParams{})
			second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
			k.age(t, session.ID, aWhile)
			third := k.refresh(t, second.RefreshToken, sessionstore.Rotated)

			if queue.fail = fail; fail == nil {
				k.exec(t, `ALTER TABLE "leaks" RENAME TO "away"`)
			}
			_, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{})
			if reuse, ok := errors.AsType[*sessionstore.ReuseError](err); !ok || reuse.ReportDelayed == nil {
				t.Errorf("without a report: %v", err)
			}
			if _, _, err := k.Get(t.Context(), string(third.AccessToken)); !errors.Is(err, sessionstore.ErrEnded) {
				t.Errorf("without a report the session is not revoked: %v", err)
			}
			for _, kind := range []cleanup.Kind{cleanup.Revoked, cleanup.Expired, cleanup.Aged} {
				rule := cleanup.Rule{Kind: kind, After: -10_000 * time.Hour}
				if removed, err := k.RemoveDue(t.Context(), rule, []uuid.UUID{session.ID}, time.Minute); err != nil || removed.Sessions != 0 {
					t.Errorf("cleanup of what is %s: %+v, %v", kind, removed, err)
				}
			}
			if n, err := k.EnqueueKeptLeaks(t.Context(), queue); n != 0 || !errors.Is(err, sessionstore.ErrUnavailable) {
				t.Errorf("the queue works again: %d, %v", n, err)
			}
			if queue.fail = nil; fail == nil {
				k.exec(t, `ALTER TABLE "away" RENAME TO "leaks"`)
			}
			for want := range 2 {
				if n, err := k.EnqueueKeptLeaks(t.Context(), queue); n != 1-want || err != nil {
					t.Errorf("time %d: %d, %v", want, n, err)
				}
			}
			reports := k.reports(t)
			if len(reports) != 1 || reports[0].Theft != sessionstore.Old || reports[0].Behind != 2 || reports[0].SessionID != session.ID {
				t.Errorf("reports %+v", reports)
			}
			if removed, err := removeSome(t.Context(), k.Store, cleanup.Rule{Kind: cleanup.Revoked, After: -time.Hour}, 10); err != nil || removed.Sessions != 1 {
				t.Errorf("cleanup of what is reported: %+v, %v", removed, err)
			}
		})
	}
}

// Twenty presentations at once of a stolen token make one report.
func TestOneTheftOneReport(t *testing.T) {
	t.Parallel()
	k, _ := setupLeaks(t)
	session, first := k.create(t, sessionstore.CreateParams{})
	second := k.refresh(t, first.RefreshToken, sessionstore.Rotated)
	k.age(t, session.ID, aWhile)
	k.refresh(t, second.RefreshToken, sessionstore.Rotated)
	const n = 20
	errs := make([]error, n)
	together(n, func(i int) {
		_, errs[i] = k.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{})
	})
	reuses := 0
	for _, err := range errs {
		if errors.Is(err, sessionstore.ErrReuse) {
			reuses++
		} else if !errors.Is(err, sessionstore.ErrEnded) {
			t.Error(err)
		}
	}
	if reports := k.reports(t); reuses != 1 || len(reports) != 1 {
		t.Errorf("%d reuse errors and %d reports", reuses, len(reports))
	}
}
