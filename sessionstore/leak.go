package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/refresh"
)

// LeakReport says that two parties held one refresh token. It contains no secret.
type LeakReport struct {
	// ID is the report's own: it may be delivered more than once.
	ID        uuid.UUID `json:"id"`
	SessionID uuid.UUID `json:"session_id"`
	// Subject is the user; empty for a session without one.
	Subject string `json:"subject,omitempty"`
	Theft   Theft  `json:"theft"`
	// Behind is how many generations the presented token is behind the newest.
	Behind     int64     `json:"behind"`
	DetectedAt time.Time `json:"detected_at"`
	// PresentedIssuedAt is when the presented token was made, to the second.
	PresentedIssuedAt time.Time `json:"presented_issued_at"`
	// RotatedAt is when the newest token was made, IssuedAt when it was last
	// handed out, and ConfirmedAt when its pair was first seen in use; zero for
	// never.
	RotatedAt   time.Time `json:"rotated_at"`
	IssuedAt    time.Time `json:"issued_at,omitzero"`
	ConfirmedAt time.Time `json:"confirmed_at,omitzero"`
	// SessionCreatedAt is when the user signed in.
	SessionCreatedAt time.Time `json:"session_created_at"`
	// PresentedBy describes the client that presented the token: the thief's, or the
	// victim's.
	PresentedBy Client `json:"presented_by"`
	// CreatedBy describes the client for which the session was created, RefreshedBy the one
	// that refreshed it last.
	CreatedBy   Client `json:"created_by"`
	RefreshedBy Client `json:"refreshed_by"`
}

// LogValue shows the report as its JSON document does.
func (r LeakReport) LogValue() slog.Value {
	client := func(key string, c Client) slog.Attr {
		return slog.Group(key, slog.String("label", c.Label), slog.String("user_agent", c.UserAgent), slog.String("ip", c.IP))
	}
	attrs := []slog.Attr{
		slog.String("id", r.ID.String()), slog.String("session_id", r.SessionID.String()), slog.String("subject", r.Subject),
		slog.String("theft", string(r.Theft)), slog.Int64("behind", r.Behind), slog.Time("detected_at", r.DetectedAt),
		slog.Time("presented_issued_at", r.PresentedIssuedAt), slog.Time("rotated_at", r.RotatedAt),
		slog.Time("session_created_at", r.SessionCreatedAt),
		client("presented_by", r.PresentedBy), client("created_by", r.CreatedBy), client("refreshed_by", r.RefreshedBy),
	}
	if !r.IssuedAt.IsZero() {
		attrs = append(attrs, slog.Time("issued_at", r.IssuedAt))
	}
	if !r.ConfirmedAt.IsZero() {
		attrs = append(attrs, slog.Time("confirmed_at", r.ConfirmedAt))
	}
	return slog.GroupValue(attrs...)
}

// LeakQueue takes reports. Enqueue is called in the transaction that revokes the
// session, or in one that takes a stored report from it: either both happen or
// neither does. It must not wait for a delivery. If it fails, what it did is undone,
// but the session is still revoked: the report is stored with the session, for
// [Store.EnqueueKeptLeaks].
type LeakQueue interface {
	Enqueue(ctx context.Context, tx pgx.Tx, report LeakReport) error
}

const leakFactsQuery = `
SELECT s."createdAt", s."clientLabel", s."clientUserAgent", host(s."clientIp"), r."clientUserAgent", host(r."clientIp")
FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id"
WHERE s."id" = $1 AND r."id" = $2`

const keepLeakQuery = `UPDATE "sessionStore" SET "leakReport" = $2 WHERE "id" = $1`

// keepTheftQuery stores a report for [Store.Thefts].
const keepTheftQuery = `UPDATE "sessionStore" SET "theft" = $2 WHERE "id" = $1`

// enqueueTimeoutQuery bounds what a queue may do: waiting for a lock there must not make
// the request run out of time, and the revocation with it.
const enqueueTimeoutQuery = `SET LOCAL statement_timeout = '2s'`

// reportLeak stores the report of a theft with its session, which is locked and revoked,
// and enqueues it if there is a queue. If that fails, it stays there to be enqueued later,
// and delayed says why.
func reportLeak(ctx context.Context, tx pgx.Tx, leaks LeakQueue, d refresh.Decision, p presented, now time.Time) (delayed, err error) {
	report, err := newLeakReport(ctx, tx, d, p, now)
	if err != nil {
		return nil, err
	}
	lost := keepReport(ctx, tx, keepTheftQuery, report)
	if leaks == nil {
		return lost, nil
	}
	delayed = pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
		if _, err := savepoint.Exec(ctx, enqueueTimeoutQuery); err != nil {
			return err
		}
		return leaks.Enqueue(ctx, savepoint, report)
	})
	if delayed != nil {
		if err := keepReport(ctx, tx, keepLeakQuery, report); err != nil {
			delayed = errors.Join(delayed, fmt.Errorf("the report is lost: %w", err))
		}
	}
	return errors.Join(delayed, lost), nil
}

// keepReport writes a report into the session's row. If it cannot, the session still ends.
func keepReport(ctx context.Context, tx pgx.Tx, query string, report LeakReport) error {
	return pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) error {
		_, err := savepoint.Exec(ctx, query, pgvalue.UUID(report.SessionID), report)
		return err
	})
}

func newLeakReport(ctx context.Context, tx pgx.Tx, d refresh.Decision, p presented, now time.Time) (LeakReport, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return LeakReport{}, err
	}
	report := LeakReport{
		ID: id, SessionID: d.Next.SessionID, Subject: d.Next.Subject,
		Theft: d.Theft, Behind: d.Next.Generation - p.claims.Generation, DetectedAt: now,
		PresentedIssuedAt: p.claims.IssuedAt, RotatedAt: d.Next.CreatedAt, IssuedAt: d.Next.IssuedAt, ConfirmedAt: d.Next.ConfirmedAt,
		PresentedBy: p.client,
	}
	var label, createdUserAgent, createdIP, refreshedUserAgent, refreshedIP *string
	err = tx.QueryRow(ctx, leakFactsQuery, pgvalue.UUID(d.Next.SessionID), pgvalue.UUID(d.Next.ID)).
		Scan(&report.SessionCreatedAt, &label, &createdUserAgent, &createdIP, &refreshedUserAgent, &refreshedIP)
	if err != nil {
		return LeakReport{}, err
	}
	report.CreatedBy = Client{Label: pgvalue.OrZero(label), UserAgent: pgvalue.OrZero(createdUserAgent), IP: pgvalue.OrZero(createdIP)}
	report.RefreshedBy = Client{UserAgent: pgvalue.OrZero(refreshedUserAgent), IP: pgvalue.OrZero(refreshedIP)}
	return report, nil
}
