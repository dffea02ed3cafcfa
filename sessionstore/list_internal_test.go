package sessionstore

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
)

// A list's cursor comes from the caller: it is exactly what a list gave, or an
// error about an argument.
func FuzzParseCursor(f *testing.F) {
	for _, seed := range []string{formatCursor(uuid.Max), formatCursor(uuid.Nil), formatTimeCursor(time.UnixMicro(-1), uuid.Max), "", "x", "AaH8n8q3ceiu8xikr8szuR", "AaH8n8q3ceiu8xikr8szuQ==", "\n", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		id, err := parseCursor(cursor)
		if _, ok := errors.AsType[*ArgumentError](err); err != nil && !ok {
			t.Errorf("%q: %v", cursor, err)
		}
		if cursor == "" && (id != uuid.Max || err != nil) {
			t.Errorf("no cursor became %v, %v", id, err)
		}
		if cursor != "" && err == nil && formatCursor(id) != cursor {
			t.Errorf("%q is another spelling of %q", cursor, formatCursor(id))
		}
		at, id, err := parseTimeCursor(cursor)
		if _, ok := errors.AsType[*ArgumentError](err); err != nil && !ok {
			t.Errorf("%q: %v", cursor, err)
		}
		if cursor != "" && err == nil && formatTimeCursor(at, id) != cursor {
			t.Errorf("%q is another spelling of %q", cursor, formatTimeCursor(at, id))
		}
	})
}
