package sessionstore_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// fill gives a subject many sessions, of which the first ones have expired.
func (k kit) fill(t *testing.T, subject string, expired, live int) {
	t.Helper()
	k.exec(t, `INSERT INTO "sessionStore" ("id", "checksum", "data", "subject", "createdAt")
		SELECT ('01900000-0000-7000-8' || left(md5($1), 3) || '-' || lpad(to_hex(n), 12, '0'))::uuid, '', '{}', $1, now() - interval '1 hour' + n * interval '1 ms'
		FROM generate_series(1, $2::int) n`, subject, expired+live)
	k.exec(t, `INSERT INTO "sessionStoreToken" ("session", "createdAt", "expiresAt", "expiresOn", "accessExpiresAt")
		SELECT s."id", now() - interval '1 hour', e."at", (e."at" AT TIME ZONE 'UTC')::date, e."at"
		FROM (SELECT "id", row_number() OVER (ORDER BY "id") AS n FROM "sessionStore" WHERE "subject" = $1) s
		CROSS JOIN LATERAL (SELECT now() + CASE WHEN s.n <= $2::int THEN interval '-1 minute' ELSE interval '1 hour' END AS "at") e`, subject, expired)
}

// A subject may have more sessions than one transaction ends. Sessions that have merely expired are not counted.
func TestManySessionsOfASubject(t *testing.T) {
	t.Parallel()
	const expired, live = 2500, 2300
	k := setup(t)
	k.fill(t, "ann", expired, live)
	if n, err := k.InvalidateSubject(t.Context(), "ann", uuid.Nil); err != nil || n != live {
		t.Errorf("signed out %d of %d, %v", n, live, err)
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStore" s JOIN "sessionStoreToken" r ON r."session" = s."id" WHERE s."revokedAt" IS NULL OR r."revokedAt" IS NULL`); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// A limit is kept exactly for such a subject as well, and what has expired is looked
// at once.
func TestLimitOfManySessions(t *testing.T) {
	t.Parallel()
	const expired, live, most = 2500, 2300, 5
	for _, action := range []sessionstore.LimitAction{sessionstore.EndOldest, sessionstore.RefuseNew} {
		k := setupWith(t, limited(most, action))
		k.fill(t, "ann", expired, live)
		session, _, err := k.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
		want := live
		if action == sessionstore.EndOldest {
			want = most
			if err != nil {
				t.Errorf("%s: %v", action, err)
			}
			if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE "id" = $1`, session.ID); n != 1 {
				t.Errorf("%s: the new session is not there", action)
			}
		} else if !errors.Is(err, sessionstore.ErrTooManySessions) {
			t.Errorf("%s: %v", action, err)
		}
		if n := k.count(t, liveCount, "ann"); n != want {
			t.Errorf("%s: %d sessions are live, want %d", action, n, want)
		}
	}
}

// A list of such a subject covers all its live sessions, and a page of it never reads more than its limit, with a
// cursor even if nothing on the page is live.
func TestListOfManySessions(t *testing.T) {
	t.Parallel()
	const expired, live, limit = 2500, 450, 200
	k := setup(t)
	k.fill(t, "ann", expired, live)
	k.exec(t, `DELETE FROM "sessionStoreToken" WHERE "session" = (SELECT "id" FROM "sessionStore" ORDER BY "id" DESC OFFSET 649 LIMIT 1)`) // the last that the third page reads
	var ids []uuid.UUID
	var sizes []int
	for cursor, more := "", true; more; more = cursor != "" {
		page, err := k.List(t.Context(), "ann", sessionstore.ListParams{Cursor: cursor, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		for _, session := range page.Sessions {
			ids = append(ids, session.ID)
		}
		sizes, cursor = append(sizes, len(page.Sessions)), page.NextCursor
	}
	// 200 and 200, then the last 50 among 250, and the rest of what has expired.
	if want := append([]int{200, 200, 50}, make([]int, 10)...); !slices.Equal(sizes, want) {
		t.Errorf("the pages have %v sessions, want %v", sizes, want)
	}
	slices.Reverse(ids)
	if !slices.IsSortedFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) || len(slices.Compact(ids)) != live {
		t.Errorf("%d sessions are listed, want each of %d once, newest first", len(ids), live)
	}
}
