package sessionstore

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/pgvalue"
)

// ParseNetwork returns the network that a CIDR prefix names, or that of one address.
func ParseNetwork(text string) (netip.Prefix, error) {
	if network, err := netip.ParsePrefix(text); err == nil {
		return network.Masked(), nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, argumentError("address", "neither an IP address nor a network in CIDR notation")
	}
	return netip.PrefixFrom(address.Unmap(), address.Unmap().BitLen()), nil
}

var (
	findLiveQuery = pageQuery(`SELECT `+pageColumns+`
    FROM "sessionStore" WHERE "id" < $6`, newestFirst, live)

	findAnyQuery = pageQuery(`SELECT `+pageColumns+`
    FROM "sessionStore" WHERE "id" < $6`, newestFirst, `true`)

	findEndedOfSubjectQuery = pageQuery(anyOfSubject, subjectsNewestFirst, `NOT `+live)

	findAnyOfSubjectQuery = pageQuery(anyOfSubject, subjectsNewestFirst, `true`)

	findEndedQuery = pageQuery(`SELECT `+pageColumns+`
    FROM "sessionStore" WHERE "revokedAt" IS NOT NULL AND ("revokedAt", "id") < ($7::timestamptz, $6) AND "revokedAt" >= COALESCE($3::timestamptz, '-infinity')`, lastEndedFirst, `true`)
)

// anyOfSubject selects a subject's sessions, live and ended, which are in two indexes: see the
// migrations.
const anyOfSubject = `SELECT * FROM (
      (SELECT ` + pageColumns + ` FROM "sessionStore" WHERE ` + ofSubject + ` AND "revokedAt" IS NULL ` + subjectsNewestFirst + ` LIMIT (SELECT $1::bigint))
      UNION ALL
      (SELECT ` + pageColumns + ` FROM "sessionStore" WHERE ` + ofSubject + ` AND "revokedAt" IS NOT NULL ` + subjectsNewestFirst + ` LIMIT (SELECT $1::bigint))
    ) u`

// Find returns sessions of one subject or of all, the newest first. It is for backends and
// operators; users have [Store.List]. However many sessions there are, and however few of them match,
// a page of search results costs no more than reading 500, and any other page no more than reading 50
// that are not on it. An invalid argument is an [ArgumentError].
func (s *Store) Find(ctx context.Context, params FindParams) (_ Page, err error) {
	ctx = s.begin(ctx, OperationList)
	defer func() { s.end(ctx, Result{Operation: OperationList, Err: err}) }()

	if err := params.check(); err != nil {
		return Page{}, err
	}
	if params.Ended && params.Subject == "" {
		before, id, err := parseTimeCursor(params.Cursor)
		if err != nil {
			return Page{}, err
		}
		return s.page(ctx, params, findEndedQuery, timeCursor, pgvalue.UUID(id), before)
	}
	before, err := parseCursor(params.Cursor)
	switch {
	case err != nil:
		return Page{}, err
	case params.Any && params.Subject != "":
		return s.page(ctx, params, findAnyOfSubjectQuery, idCursor, pgvalue.UUID(before), params.Subject)
	case params.Any:
		return s.page(ctx, params, findAnyQuery, idCursor, pgvalue.UUID(before))
	case params.Ended:
		return s.page(ctx, params, findEndedOfSubjectQuery, idCursor, pgvalue.UUID(before), params.Subject)
	case params.Subject != "":
		return s.page(ctx, params, listQuery, idCursor, pgvalue.UUID(before), params.Subject)
	default:
		return s.page(ctx, params, findLiveQuery, idCursor, pgvalue.UUID(before))
	}
}

func (p FindParams) check() error {
	if p.Any && p.Ended {
		return argumentError("any", "cannot be combined with ended")
	}
	if !p.Ended && !p.Since.IsZero() {
		return argumentError("since", "is only for ended sessions")
	}
	if year := p.Since.UTC().Year(); !p.Since.IsZero() && (year < 1970 || year > 9999) {
		return argumentError("since", "not between the years 1970 and 9999")
	}
	if err := checkText("subject", p.Subject, maxSubjectBytes); err != nil {
		return err
	}
	return checkText("label", p.Label, maxLabelBytes)
}

// A cursor in a list of ended sessions is the time and the id.
const timeCursorBytes = 8 + len(uuid.UUID{})

func formatTimeCursor(at time.Time, id uuid.UUID) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(raw, id[:]...))
}

// parseTimeCursor returns the position after which a page begins; for the first page
// it is a time beyond all others.
func parseTimeCursor(cursor string) (time.Time, uuid.UUID, error) {
	if cursor == "" {
		return endOfTime, uuid.Max, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) != timeCursorBytes {
		return time.Time{}, uuid.Nil, errCursor
	}
	at, id := time.UnixMicro(int64(binary.BigEndian.Uint64(raw))), uuid.UUID(raw[8:]) //nolint:gosec // G115: as above
	if formatTimeCursor(at, id) != cursor || at.Year() < 1970 || at.After(endOfTime) {
		return time.Time{}, uuid.Nil, errCursor
	}
	return at, id, nil
}

// endOfTime is later than any session ends.
var endOfTime = time.Date(9999, time.December, 31, 0, 0, 0, 0, time.UTC)

func timeCursor(s Session) string { return formatTimeCursor(s.RevokedAt, s.ID) }
