package sessionstore

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// DefaultListLimit is how many sessions a page of a list has unless [ListParams] says
// otherwise, and MaxListLimit is the most that it may say.
const (
	DefaultListLimit = 50
	MaxListLimit     = 200
)

// ListParams selects a page of a list.
type ListParams struct {
	// Cursor is the previous page's NextCursor; empty for the first page.
	Cursor string
	// Limit is the maximum number of sessions on the page, up to 200. Zero means 50.
	Limit int
}

func (p ListParams) limit() (int, error) {
	switch {
	case p.Limit == 0:
		return DefaultListLimit, nil
	case p.Limit < 1 || p.Limit > MaxListLimit:
		return 0, argumentError("limit", "not between 1 and %d", MaxListLimit)
	}
	return p.Limit, nil
}

// FindParams selects a page of sessions by what is known about them. Zero members do
// not restrict the selection.
type FindParams struct {
	ListParams

	// Subject is whose sessions; empty for all.
	Subject string
	// Ended selects sessions that have ended and are still stored, instead of live ones. Without a
	// Subject they are ordered by the time at which they were ended, the latest first, and leave
	// out those that expired; a subject's list includes these.
	Ended bool
	// Any selects live ones and ended ones, the newest first. It excludes Ended.
	Any bool
	// Since selects sessions that ended then or later. It requires Ended.
	Since time.Time
	// Network has the address from which the session was created, or last refreshed.
	Network netip.Prefix
	// Label is the client's, in full.
	Label string
}

// Page is a part of a list.
type Page struct {
	// Sessions are ordered newest first, without their data. There may be fewer than the
	// limit, or none, although more follow: a page skips at most 50 sessions that have
	// expired and await cleanup, and a search reads 500.
	Sessions []Session
	// NextCursor leads to the next page; it is empty after the last.
	NextCursor string
}

const (
	// passedOver is how many expired sessions a page skips. Any number may await cleanup,
	// and a page must not cost more than a few sessions do.
	passedOver = 50
	// searchReach is how many sessions a page of search results is chosen from.
	searchReach = 500
)

// pageColumns are the columns of "sessionStore" that a page reads.
const pageColumns = `"id", "subject", "checksum", "clientLabel", "clientUserAgent", "clientIp", "createdAt", "updatedAt", "revokedAt", "endReason", "endedBy"`

// pageQuery makes a page of the sessions from a source for which the condition holds. An
// index gives the source in the given order. Sessions are read one by one until the page
// is full, or $1 have been read. The last one within reach is returned even if the
// condition does not hold: it is where the next page begins. Subselects hide from PostgreSQL what
// is searched for: it would expect less work if it knew that it is nothing, and plan each
// page again, which takes twice as long as reading it.
func pageQuery(source, order, condition string) string {
	return `
SELECT ` + sessionColumns + `, COALESCE(r."claims", ''), e."endedAt", e."reason", e."by", f."isWanted", s."n" = $1
FROM (
  SELECT s.*, row_number() OVER (` + order + `) AS "n"
  FROM (
    ` + source + ` ` + order + ` LIMIT (SELECT $1::bigint)
  ) s
) s
LEFT JOIN LATERAL (
  SELECT r.* FROM "sessionStoreToken" r WHERE r."session" = s."id" AND r."refreshToken" IS NULL
  ` + best + `
) p ON true
CROSS JOIN LATERAL (
  SELECT p."issuedAt", COALESCE(p."expiresAt", s."revokedAt", 'epoch') AS "expiresAt", p."sessionExpiresAt", p."revokedAt", p."clientUserAgent", p."clientIp", p."claims", p."client", p."era"
) r
` + endOfEra + `
CROSS JOIN LATERAL (
  SELECT ` + endingColumns + `
) e("endedAt", "reason", "by")
CROSS JOIN LATERAL (
  SELECT ` + condition + ` AND (wanted."since" IS NULL OR e."endedAt" >= wanted."since")
    AND (wanted."network" IS NULL OR COALESCE(s."clientIp" <<= wanted."network", false) OR COALESCE(r."clientIp" <<= wanted."network", false))
    AND (wanted."label" IS NULL OR COALESCE(s."clientLabel" = wanted."label", false)) AS "isWanted"
  FROM (SELECT (SELECT $3::timestamptz), (SELECT $4::inet), (SELECT $5::text)) wanted("since", "network", "label")
) f
WHERE (f."isWanted" OR s."n" = $1) AND ` + primary.Only + `
` + order + `
LIMIT (SELECT $2::bigint)`
}

const (
	newestFirst    = `ORDER BY "id" DESC`
	lastEndedFirst = `ORDER BY "revokedAt" DESC, "id" DESC`

	// A subject's sessions are found by an index that begins with the subject. A range and
	// an order by it leave PostgreSQL no choice. With an equality it may read all sessions
	// in the order of their ids instead: if it assumes that every subject has a large share of all sessions, as one
	// subject does, it expects to find a few very soon. Subselects hide the values and the limit from it: planning for
	// one subject, it takes the range for nearly empty, and would read all of it, sort it, and then cut it off.
	ofSubject           = `("subject", "id") < ((SELECT $7::text), (SELECT $6::uuid)) AND "subject" >= (SELECT $7::text)`
	subjectsNewestFirst = `ORDER BY "subject" DESC, "id" DESC`
)

// page sends a query made by [pageQuery], whose parameters from $6 on are args.
func (s *Store) page(ctx context.Context, params FindParams, query string, cursorOf func(Session) string, args ...any) (page Page, err error) {
	limit, err := params.limit()
	if err != nil {
		return Page{}, err
	}
	var network *string
	if params.Network.IsValid() {
		network = new(params.Network.String())
	}
	read := func(rows pgx.Rows) error {
		page = Page{}
		for rows.Next() {
			var end endingRow
			var claims string
			var isWanted, isLast bool
			session, err := scanSession(s.cfg.Tokens.ClientID, rows, slices.Concat([]any{&claims}, end.dest(), []any{&isWanted, &isLast})...)
			if err != nil {
				return err
			}
			if len(page.Sessions) == limit {
				page.NextCursor = cursorOf(page.Sessions[limit-1])
				continue
			}
			if isWanted {
				if err := session.readClaims(claims); err != nil {
					return err
				}
				session.Checksum, session.Claims = "", nil
				session.noteEnding(end.ending())
				page.Sessions = append(page.Sessions, session)
			}
			if isLast {
				page.NextCursor = cursorOf(session)
			}
		}
		return rows.Err()
	}
	reach := limit + passedOver
	if network != nil || params.Label != "" || !params.Since.IsZero() {
		reach = searchReach
	}
	// One more than wanted shows whether there is a next page.
	args = append([]any{reach, limit + 1, pgvalue.OrNull(params.Since), network, pgvalue.OrNull(params.Label)}, args...)
	if err := s.pool.Read(ctx, read, query, args...); err != nil {
		return Page{}, sessionerr.Unavailable("list sessions", err)
	}
	return page, nil
}
