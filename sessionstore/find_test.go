package sessionstore_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// found are the ids of all pages of what the parameters select.
func (k kit) found(t *testing.T, params sessionstore.FindParams) []uuid.UUID {
	t.Helper()
	var ids []uuid.UUID
	for more := true; more; more = params.Cursor != "" {
		page, err := k.Find(t.Context(), params)
		if err != nil {
			t.Fatal(err)
		}
		for _, session := range page.Sessions {
			ids = append(ids, session.ID)
			if ended := !session.Ended.At.IsZero(); ended != params.Ended && !params.Any || ended != (session.Ended.Reason != "") {
				t.Errorf("among those that ended (%v): %+v", params.Ended, session.Ended)
			}
		}
		params.Cursor = page.NextCursor
	}
	return ids
}

// Live and ended sessions are found, of one subject and of all, by each of their attributes.
func TestFind(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ids := map[string]uuid.UUID{}
	for _, name := range []string{"ada live", "ada expired", "ada ended", "ada ended long ago", "bob live", "bob ended"} {
		session, _ := k.create(t, sessionstore.CreateParams{Subject: name[:3], Client: sessionstore.Client{Label: name, IP: "192.0.2.7"}})
		ids[name] = session.ID
	}
	for _, name := range []string{"ada ended long ago", "bob ended", "ada ended"} { // not in the order of their creation
		if err := k.Invalidate(t.Context(), ids[name]); err != nil {
			t.Fatal(err)
		}
	}
	k.age(t, ids["ada ended long ago"], 48*time.Hour)
	k.exec(t, `UPDATE "sessionStoreToken" SET "expiresAt" = now() - interval '1 hour' WHERE "session" = $1`, ids["ada expired"])
	k.exec(t, `UPDATE "sessionStoreToken" SET "clientIp" = '2001:db8::7' WHERE "session" IN ($1, $2)`, ids["ada live"], ids["bob ended"])
	yesterday, network := time.Now().Add(-24*time.Hour), netip.MustParsePrefix("2001:db8::/32")
	for name, test := range map[string]struct {
		params sessionstore.FindParams
		want   []string
	}{
		"all live ones":        {sessionstore.FindParams{}, []string{"bob live", "ada live"}},
		"a subject's":          {sessionstore.FindParams{Subject: "ada"}, []string{"ada live"}},
		"by the last address":  {sessionstore.FindParams{Network: network}, []string{"ada live"}},
		"by the first address": {sessionstore.FindParams{Network: netip.MustParsePrefix("192.0.2.7/32")}, []string{"bob live", "ada live"}},
		"by the label":         {sessionstore.FindParams{Label: "bob live"}, []string{"bob live"}},
		"all that were ended":  {sessionstore.FindParams{Ended: true}, []string{"ada ended", "bob ended", "ada ended long ago"}},
		"since yesterday":      {sessionstore.FindParams{Ended: true, Since: yesterday}, []string{"ada ended", "bob ended"}},
		"a subject's ended":    {sessionstore.FindParams{Ended: true, Subject: "ada"}, []string{"ada ended long ago", "ada ended", "ada expired"}},
		"ada since yesterday":  {sessionstore.FindParams{Ended: true, Subject: "ada", Since: yesterday}, []string{"ada ended", "ada expired"}},
		"ended, by address":    {sessionstore.FindParams{Ended: true, Network: network}, []string{"bob ended"}},
		"ended, by the label":  {sessionstore.FindParams{Ended: true, Subject: "ada", Label: "ada expired"}, []string{"ada expired"}},
		"a subject's, both":    {sessionstore.FindParams{Any: true, Subject: "ada"}, []string{"ada ended long ago", "ada ended", "ada expired", "ada live"}},
		"both, by address":     {sessionstore.FindParams{Any: true, Network: network}, []string{"bob ended", "ada live"}},
		"nobody's":             {sessionstore.FindParams{Subject: "eve"}, nil},
	} {
		var want []uuid.UUID
		for _, name := range test.want {
			want = append(want, ids[name])
		}
		for _, limit := range []int{0, 1, 2} {
			test.params.Limit = limit
			if diff := cmp.Diff(want, k.found(t, test.params)); diff != "" {
				t.Errorf("%s, %d in a page: %s", name, limit, diff)
			}
		}
	}
}

// Any number of sessions may end at the same time, and each is on one page.
func TestFindThoseThatEndedAtOnce(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.manySessions(t, 1100)
	if _, err := k.InvalidateAll(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now()`)
	for _, label := range []string{"", "nobody's"} {
		ids := k.found(t, sessionstore.FindParams{ListParams: sessionstore.ListParams{Limit: 200}, Ended: true, Label: label})
		unique := map[uuid.UUID]bool{}
		for _, id := range ids {
			unique[id] = true
		}
		want := 1100
		if label != "" {
			want = 0
		}
		if len(ids) != want || len(unique) != want {
			t.Errorf("%q: %d sessions, of which %d differ", label, len(ids), len(unique))
		}
	}
}

func TestFindRefuses(t *testing.T) {
	t.Parallel()
	k := setup(t)
	if _, err := k.Find(t.Context(), sessionstore.FindParams{ListParams: sessionstore.ListParams{Cursor: "AaH8n8q3ceiu8xikr8szuQ"}, Ended: true}); err == nil {
		t.Error("a cursor of another list was taken")
	}
	long := fmt.Sprintf("%0256d", 0)
	for want, params := range map[string]sessionstore.FindParams{
		`since: is only for ended sessions`:          {Since: time.Now()},
		`any: cannot be combined with ended`:         {Any: true, Ended: true},
		`since: not between the years 1970 and 9999`: {Since: time.Unix(-1, 0), Ended: true},
		`subject: longer than 255 bytes`:             {Subject: long},
		`label: longer than 200 bytes`:               {Label: long},
		`limit: not between 1 and 200`:               {ListParams: sessionstore.ListParams{Limit: 201}},
		`cursor: not a cursor from this list`:        {ListParams: sessionstore.ListParams{Cursor: "x"}},
	} {
		if _, err := k.Find(t.Context(), params); err == nil || err.Error() != want {
			t.Errorf("%+v: %v, not %s", params, err, want)
		}
	}
}
