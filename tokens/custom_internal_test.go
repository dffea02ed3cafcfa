package tokens

import (
	"slices"
	"testing"
	"unicode/utf16"
)

// RFC 8785 §3.2.3: names are compared by UTF-16 code units, in either order.
func TestOrderOfNames(t *testing.T) {
	t.Parallel()
	names := []string{
		"", "a", "aa", "b", "~", "\u0080", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uefff", "\uf000", "\uff5e", "\uffff",
		"\U00010000", "\U0001f600", "\U00040000", "\U0010ffff", "\U0001f600a", "a\ue000", "a\U00010000", "\ue000\U00010000",
	}
	for _, x := range names {
		for _, y := range names {
			r := &customReader{form: []byte(`"` + x + `""` + y + `"`)}
			first := customMember{0, len(x) + 2, 0}
			got := r.compare(first, customMember{first.nameEnd, len(r.form), 0})
			if want := slices.Compare(utf16.Encode([]rune(x)), utf16.Encode([]rune(y))); got != want {
				t.Errorf("%q and %q: %d, want %d", x, y, got, want)
			}
		}
	}
}
