package sessionstore

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/internal/primary"
	"github.com/latchkey-sessions/latchkey/internal/sessionerr"
)

// subjectsReach is how many subjects [Store.Subjects] looks at.
const subjectsReach = 10

// Each step of the recursion is one look into each of the two indexes of subjects, however
// many sessions a subject has.
const subjectsQuery = `
WITH RECURSIVE "found" AS (
  SELECT ` + nextSubject + ` AS "subject", 1 AS "n" FROM (SELECT $1::text AS "subject") "found"
  UNION ALL
  SELECT ` + nextSubjectAfter + `, "n" + 1 FROM "found" WHERE "subject" IS NOT NULL AND "n" < $2
)
SELECT "subject" FROM "found" WHERE "subject" IS NOT NULL AND ` + primary.Only

const (
	nextSubject = `LEAST(
    (SELECT s."subject" FROM "sessionStore" s WHERE s."subject" >= "found"."subject" AND s."revokedAt" IS NULL ORDER BY s."subject", s."id" LIMIT 1),
    (SELECT s."subject" FROM "sessionStore" s WHERE s."subject" >= "found"."subject" AND s."revokedAt" IS NOT NULL ORDER BY s."subject", s."id" LIMIT 1))`
	nextSubjectAfter = `LEAST(
    (SELECT s."subject" FROM "sessionStore" s WHERE s."subject" > "found"."subject" AND s."revokedAt" IS NULL ORDER BY s."subject", s."id" LIMIT 1),
    (SELECT s."subject" FROM "sessionStore" s WHERE s."subject" > "found"."subject" AND s."revokedAt" IS NOT NULL ORDER BY s."subject", s."id" LIMIT 1))`
)

// Subjects returns up to ten subjects that begin with the text and have sessions,
// including ended ones. It looks at the ten that follow the text in the database's
// collation: if that ignores punctuation, one may be missing.
func (s *Store) Subjects(ctx context.Context, beginning string) (found []string, err error) {
	ctx = s.begin(ctx, OperationList)
	defer func() { s.end(ctx, Result{Operation: OperationList, Err: err}) }()

	if beginning == "" {
		return nil, argumentError("subject", "must not be empty")
	}
	if err := checkText("subject", beginning, maxSubjectBytes); err != nil {
		return nil, err
	}
	read := func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}
	if err := s.pool.Read(ctx, read, subjectsQuery, beginning, subjectsReach); err != nil {
		return nil, sessionerr.Unavailable("list subjects", err)
	}
	beginsSo := found[:0]
	for _, subject := range found {
		if strings.HasPrefix(subject, beginning) {
			beginsSo = append(beginsSo, subject)
		}
	}
	return beginsSo, nil
}
