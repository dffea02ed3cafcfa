package events

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

const (
	// deriveInterval is how late an event is derived, across all replicas.
	deriveInterval = time.Second
	// derivedTogether limits a transaction that derives events. A transaction in which
	// more sessions ended is read as a whole.
	derivedTogether = 5000
)

const (
	system = `(SELECT "system_identifier"::text FROM pg_control_system())`

	beginQuery = `
WITH "began" AS (
  INSERT INTO "sessionStoreEventsBegan" DEFAULT VALUES ON CONFLICT DO NOTHING
)
INSERT INTO "sessionStoreEvents" ("snapshot", "system", "at")
SELECT pg_current_snapshot()::text, ` + system + `, now() ON CONFLICT DO NOTHING`

	// positionQuery lets one replica derive at a time, and only once per second. The
	// deriving replica holds the row's lock.
	positionQuery = `
SELECT "snapshot", "system" = ` + system + ` FROM "sessionStoreEvents"
WHERE "at" <= clock_timestamp() - $1 * interval '1 s' OR "at" > clock_timestamp() FOR UPDATE SKIP LOCKED`

	movePositionQuery = `UPDATE "sessionStoreEvents" SET "snapshot" = $1, "at" = clock_timestamp()`

	restartQuery = `UPDATE "sessionStoreEvents" SET "snapshot" = pg_current_snapshot()::text, "system" = ` + system + `, "at" = clock_timestamp()`
)

// newSince finds by an index what was not visible in the snapshot $1: what began after it,
// and what was under way. A snapshot determines for each transaction whether it is visible,
// so nothing is missed, however long a transaction took and in whatever order they
// committed; no clock is involved. Each half is in the order of transactions, and ends with
// everything that one of them did.
func newSince(kind, table, xid, session string) string {
	columns := `"` + xid + `"::text::bigint AS "n", "` + session + `" AS "session" FROM "` + table + `"`
	const most = ` FETCH FIRST ($2::bigint) ROWS WITH TIES)`
	return `(SELECT ` + kind + ` AS "kind", 1 AS "half", ` + columns + `
   WHERE "` + xid + `" >= pg_snapshot_xmax($1::text::pg_snapshot) ORDER BY "` + xid + `"` + most + `
  UNION ALL
  (SELECT ` + kind + `, 2, ` + columns + `
   WHERE "` + xid + `" = ANY (ARRAY(SELECT pg_snapshot_xip($1::text::pg_snapshot))) ORDER BY "` + xid + `"` + most
}

// comparedWith is how many of a subject's live sessions, and of its ended ones, a new
// session is compared with.
const comparedWith = 25

// earlierOfSubject are the last sessions of a subject before one, by one of the two indexes of
// subjects: a range leaves PostgreSQL no choice, while with an equality it may read all sessions
// in the order of their ids.
func earlierOfSubject(condition string) string {
	return `(SELECT "id", "clientLabel", "clientUserAgent", "clientIp" FROM "sessionStore"
    WHERE ("subject", "id") < (s."subject", s."id") AND "subject" >= s."subject" AND ` + condition + ` ORDER BY "subject" DESC, "id" DESC LIMIT ` + strconv.Itoa(comparedWith) + `)`
}

// firstSeen lists the properties of a new session's client that none of its subject's earlier
// sessions had, neither at creation nor at the last refresh. OFFSET 0 keeps PostgreSQL from
// joining the tables, for which it may read all of one.
var firstSeen = `(SELECT NULLIF(array_remove(ARRAY[
    CASE WHEN s."clientLabel" <> '' AND NOT COALESCE(bool_or(o."clientLabel" = s."clientLabel"), false) THEN 'label' END,
    CASE WHEN s."clientUserAgent" <> '' AND NOT COALESCE(bool_or(s."clientUserAgent" IN (o."clientUserAgent", t."clientUserAgent")), false) THEN 'user_agent' END,
    CASE WHEN s."clientIp" IS NOT NULL AND NOT COALESCE(bool_or(s."clientIp" IN (o."clientIp", t."clientIp")), false) THEN 'ip' END
  ], NULL), '{}')
  FROM (` + earlierOfSubject(`"revokedAt" IS NULL`) + ` UNION ALL ` + earlierOfSubject(`"revokedAt" IS NOT NULL`) + `) o
  LEFT JOIN LATERAL (SELECT "clientUserAgent", "clientIp" FROM "sessionStoreToken" WHERE "session" = o."id" AND "refreshToken" IS NULL OFFSET 0) t ON true
  WHERE s."subject" IS NOT NULL HAVING s."subject" IS NOT NULL)`

// deriveQuery writes the deliveries of what is new. If there is more than can be read at
// once, it leaves out everything after the last transaction that all halves have read.
//
// A replacement is one transaction, which creates a session and ends the other, so either
// is found by the other's. A session that was revoked after it had expired had ended
// before, as everywhere. A delivery whose predecessor has failed waits as long as that.
var deriveQuery = `
WITH "found" AS MATERIALIZED (
  ` + newSince("1", "sessionStore", "createdXid", "id") + `
  UNION ALL
  ` + newSince("2", "sessionStoreToken", "supersededXid", "session") + `
  UNION ALL
  ` + newSince("3", "sessionStore", "revokedXid", "id") + `
), "cut" AS MATERIALIZED (
  SELECT min("last") AS "n" FROM (SELECT max("n") AS "last" FROM "found" GROUP BY "kind", "half" HAVING count(*) >= $2) l
), "news" AS MATERIALIZED (
  SELECT f."kind", f."n", f."session", gen_random_uuid() AS "event", r."clientId",
    CASE f."kind" WHEN 1 THEN '` + string(TypeCreated) + `' WHEN 2 THEN '` + string(TypeClaimsChanged) + `' ELSE '` + string(TypeEnded) + `' END AS "type",
    COALESCE(CASE f."kind" WHEN 1 THEN s."createdAt" WHEN 2 THEN r."supersededAt" ELSE CASE WHEN e."expired" THEN r."expiresAt" ELSE s."revokedAt" END END, now()) AS "at",
    jsonb_strip_nulls(jsonb_build_object('session_id', s."id", 'subject', s."subject", 'client_id', r."clientId", 'act', r."act") || CASE f."kind"
      WHEN 1 THEN jsonb_build_object(
        'client', NULLIF(jsonb_strip_nulls(jsonb_build_object('label', s."clientLabel", 'user_agent', s."clientUserAgent", 'ip', host(s."clientIp"))), '{}'),
        'first_seen', ` + firstSeen + `,
        'replaces', (SELECT o."id" FROM "sessionStore" o WHERE o."revokedXid" = s."createdXid" AND o."endReason" = 'replaced' AND o."endedBy" = s."id"::text LIMIT 1))
      WHEN 2 THEN '{}'
      WHEN 3 THEN CASE WHEN e."expired" THEN jsonb_build_object('reason', CASE WHEN r."sessionExpiresAt" <= r."expiresAt" THEN 'expired' ELSE 'idle' END)
        ELSE jsonb_build_object('reason', COALESCE(s."endReason", 'not_recorded'), 'by', s."endedBy") END
    END) AS "facts"
  FROM "found" f CROSS JOIN "cut" c
  JOIN "sessionStore" s ON s."id" = f."session"
  LEFT JOIN LATERAL (
    SELECT COALESCE(t."client", $3::text) AS "clientId", t."expiresAt", t."sessionExpiresAt", t."supersededAt",
      CASE WHEN strpos(t."claims", E'\n') > 0 THEN (split_part(t."claims", E'\n', 1) || '}')::jsonb -> 'act' END AS "act" -- see tokens.JoinClaims
    FROM "sessionStoreToken" t WHERE t."session" = s."id" AND t."refreshToken" IS NULL
    ORDER BY t."expiresAt" DESC LIMIT 1
  ) r ON true
  CROSS JOIN LATERAL (SELECT r."expiresAt" < s."revokedAt" AND s."endReason" IS DISTINCT FROM 'theft' AS "expired") e
  WHERE c."n" IS NULL OR f."n" <= c."n"
), "delivery" AS (
  INSERT INTO "sessionStoreDelivery" ("endpoint", "session", "event", "type", "at", "facts", "madeAt", "dueAt")
  SELECT w."name", n."session", n."event", n."type", n."at", n."facts", now(), COALESCE((
    SELECT max(d."dueAt") FROM "sessionStoreDelivery" d
    WHERE d."endpoint" = w."name" AND d."session" = n."session" AND d."deadAt" IS NULL AND d."lastError" IS NOT NULL), now())
  FROM "news" n CROSS JOIN jsonb_to_recordset($4::jsonb) AS w("name" text, "types" text[], "clients" text[])
  WHERE (w."types" IS NULL OR n."type" = ANY (w."types")) AND (w."clients" IS NULL OR n."clientId" = ANY (w."clients"))
  ORDER BY n."kind", n."n", n."session"
  RETURNING 1
)
SELECT pg_current_snapshot()::text, (SELECT "n" FROM "cut"), (SELECT count(*) FROM "delivery")`

// wanted is what deriveQuery knows about an endpoint.
type wanted struct {
	Name    string   `json:"name"`
	Types   []Type   `json:"types"`
	Clients []string `json:"clients"`
}

func wantedBy(endpoints []Endpoint) ([]byte, error) {
	all := make([]wanted, len(endpoints))
	for i, e := range endpoints {
		all[i] = wanted{e.Name, e.Types, e.Clients}
		if e.Types == nil {
			all[i].Types = e.Format.Types()
		}
	}
	return json.Marshal(all)
}

// deriveAll derives everything new, if no other replica does or just did.
func (r *Runner) deriveAll(ctx context.Context) error {
	for since := deriveInterval * 9 / 10; ; since = 0 {
		made, more, err := r.derive(ctx, since)
		if err != nil {
			return err
		}
		if made > 0 {
			for _, e := range r.endpoints {
				e.wake()
			}
		}
		if !more {
			return nil
		}
	}
}

// deriveTimeout limits one transaction. A replica that freezes in the middle of it loses
// its connection, so that another one derives.
const deriveTimeout = time.Minute

// settings keep the planner from reading whole tables, whatever it expects to find.
var settings = []string{
	`SET LOCAL jit = off`, `SET LOCAL enable_seqscan = off`, `SET LOCAL enable_hashjoin = off`, `SET LOCAL enable_mergejoin = off`,
	`SET LOCAL statement_timeout = '1min'`, `SET LOCAL idle_in_transaction_session_timeout = '10s'`,
}

// derive writes deliveries and moves the position in one transaction.
func (r *Runner) derive(ctx context.Context, since time.Duration) (made int64, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, deriveTimeout)
	defer cancel()
	err = pgx.BeginFunc(ctx, r.db, func(tx pgx.Tx) error {
		var position pgtype.Text
		var here bool
		batch := &pgx.Batch{}
		for _, set := range settings {
			batch.Queue(set)
		}
		batch.Queue(beginQuery)
		batch.Queue(positionQuery, since.Seconds()).QueryRow(func(row pgx.Row) error {
			if err := row.Scan(&position, &here); !pgvalue.IsNoRows(err) {
				return err
			}
			return nil // another replica derives, or just did
		})
		switch err := tx.SendBatch(ctx, batch).Close(); {
		case err != nil || !position.Valid:
			return err
		case !here:
			r.log.WarnContext(ctx, "the database was restored from a dump: events are reported from now on")
			_, err := tx.Exec(ctx, restartQuery)
			return err
		}
		var snapshot string
		var cut pgtype.Int8
		if err := tx.QueryRow(ctx, deriveQuery, position, r.most, r.firstClient, r.wanted).Scan(&snapshot, &cut, &made); err != nil {
			return err
		}
		if more = cut.Valid; more {
			var err error
			if snapshot, err = cutSnapshot(snapshot, uint64(cut.Int64)); err != nil { //nolint:gosec // a transaction's id is positive
				return err
			}
		}
		_, err := tx.Exec(ctx, movePositionQuery, snapshot)
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("derive events: %w", err)
	}
	return made, more, nil
}
