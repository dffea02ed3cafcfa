package pgvalue

import (
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgtype"
)

// TextTo reads a text column to its destination, null as empty. Otherwise pgx allocates a
// pointer for each value.
func TextTo(s *string) pgtype.TextScanner { return (*text)(s) }

// TimeTo reads a time column to its destination, null as the zero time.
func TimeTo(t *time.Time) pgtype.TimestamptzScanner { return (*instant)(t) }

type text string

// ScanText implements [pgtype.TextScanner].
func (s *text) ScanText(v pgtype.Text) error {
	*s = text(v.String)
	return nil
}

type instant time.Time

// ScanTimestamptz implements [pgtype.TimestamptzScanner].
func (t *instant) ScanTimestamptz(v pgtype.Timestamptz) error {
	if v.InfinityModifier != pgtype.Finite {
		return errors.New("an infinite time")
	}
	*t = instant(v.Time)
	return nil
}
