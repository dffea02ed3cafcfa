package sessionstore

import (
	"errors"
	"testing"

	"github.com/google/uuid"
)

// A list's cursor comes from whoever asks: it is exactly what a list gave, or an
// error about an argument.
func FuzzParseCursor(f *testing.F) {
	for _, seed := range []string{formatCursor(uuid.Max), formatCursor(uuid.Nil), "", "x", "AaH8n8q3ceiu8xikr8szuR", "AaH8n8q3ceiu8xikr8szuQ==", "\n", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		id, err := parseCursor(cursor)
		if _, ok := errors.AsType[*ArgumentError](err); err != nil && !ok {
			t.Errorf("%q: %v", cursor, err)
		}
		if (id == nil) != (err != nil || cursor == "") {
			t.Errorf("%q became %v, %v", cursor, id, err)
		}
		if id != nil && formatCursor(*id) != cursor {
			t.Errorf("%q is another spelling of %q", cursor, formatCursor(*id))
		}
	})
}
