package sessionstore_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// Subjects are found by how they begin, those whose sessions have all ended too, and ten at
// most.
func TestSubjects(t *testing.T) {
	t.Parallel()
	k := setup(t)
	for _, subject := range []string{"ada", "ada", "ada.lovelace", "adam", "bob"} {
		k.create(t, sessionstore.CreateParams{Subject: subject})
	}
	if _, err := k.InvalidateSubject(t.Context(), "adam", [16]byte{}); err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		k.create(t, sessionstore.CreateParams{Subject: fmt.Sprintf("user-%02d", i)})
	}
	for beginning, want := range map[string][]string{
		"ada": {"ada", "ada.lovelace", "adam"}, "adam": {"adam"}, "b": {"bob"}, "eve": nil, "zoe": nil,
		"user-": {"user-00", "user-01", "user-02", "user-03", "user-04", "user-05", "user-06", "user-07", "user-08", "user-09"},
	} {
		got, err := k.Subjects(t.Context(), beginning)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" && len(want)+len(got) > 0 {
			t.Errorf("%q: %s", beginning, diff)
		}
	}
	for _, wrong := range []string{"", "\xff", "\x00"} {
		if _, err := k.Subjects(t.Context(), wrong); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
