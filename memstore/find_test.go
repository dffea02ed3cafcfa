package memstore_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func TestFind(t *testing.T) {
	t.Parallel()
	store := memstore.MustNew(sessionstore.Config{})
	create := func(subject, label, ip string) string {
		t.Helper()
		session, _, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: subject, Data: []byte(`{}`), Client: sessionstore.Client{Label: label, IP: ip}})
		if err != nil {
			t.Fatal(err)
		}
		return session.ID.String()
	}
	phone, laptop, other := create("ann", "phone", "192.0.2.1"), create("ann", "laptop", "192.0.2.2"), create("bob", "phone", "198.51.100.1")
	for name, c := range map[string]struct {
		params sessionstore.FindParams
		want   []string
	}{
		"everyone":   {sessionstore.FindParams{}, []string{other, laptop, phone}},
		"a subject":  {sessionstore.FindParams{Subject: "ann"}, []string{laptop, phone}},
		"a label":    {sessionstore.FindParams{Label: "phone"}, []string{other, phone}},
		"a network":  {sessionstore.FindParams{Network: netip.MustParsePrefix("192.0.2.0/24")}, []string{laptop, phone}},
		"nobody":     {sessionstore.FindParams{Subject: "eve"}, nil},
		"in a page":  {sessionstore.FindParams{ListParams: sessionstore.ListParams{Limit: 1}}, []string{other}},
		"after that": {sessionstore.FindParams{ListParams: sessionstore.ListParams{Limit: 1, Cursor: other}}, []string{laptop}},
	} {
		page, err := store.Find(t.Context(), c.params)
		if err != nil {
			t.Fatal(name, err)
		}
		var got []string
		for _, session := range page.Sessions {
			got = append(got, session.ID.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if _, err := store.Find(t.Context(), sessionstore.FindParams{Ended: true}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("those that have ended: %v", err)
	}

	n := 0
	for session, err := range sessionhttp.New[struct{}](store, sessionhttp.Config{}).All(t.Context(), "ann") {
		if err != nil || session.Info.Subject != "ann" {
			t.Fatal(session, err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("All has %d sessions of 2", n)
	}
}
