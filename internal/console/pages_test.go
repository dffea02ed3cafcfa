package console_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// One field finds subjects, sessions, addresses and labels.
func TestSearch(t *testing.T) {
	t.Parallel()
	k := setup(t)
	ada, _ := k.create(t, sessionstore.CreateParams{Subject: "ada", Client: sessionstore.Client{Label: "Ada's laptop", IP: "203.0.113.7", UserAgent: firefox}})
	k.create(t, sessionstore.CreateParams{Subject: "adam", Client: sessionstore.Client{IP: "2001:db8::7"}})
	byID, _ := k.create(t, sessionstore.CreateParams{Subject: "0197c1a2-0000-7000-8000-000000000001"})
	b := k.signedIn(t, graceKey)
	session := `href="./sessions/` + ada.ID.String()
	for query, want := range map[string][]string{
		"ada":                                  {`href="./subject?id=ada"`, `href="./subject?id=adam"`},
		" adam ":                               {`href="./subject?id=adam"`},
		ada.ID.String():                        {session, "Firefox on Linux, of ada"},
		strings.ToUpper(ada.ID.String()):       {session},
		"203.0.113.7":                          {session, "with this address"},
		"203.0.113.0/24":                       {session},
		"2001:db8::/32":                        {`href="./subject?id=adam"`},
		"Ada's laptop":                         {session, "with this label"},
		"0197c1a2-0000-7000-8000-000000000001": {"./subject?id=0197c1a2", byID.Subject},
		"eve":                                  {"Nothing was found for <b>eve</b>"},
		"<script>alert(1)</script>":            {"Nothing was found for <b>&lt;script&gt;"},
		strings.Repeat("x", 255):               {"Nothing was found for"},
		"":                                     {"Who is signed in"},
	} {
		b.get("/console/?" + url.Values{"q": {query}}.Encode())
		b.want(200, want...)
	}
	for query, status := range map[string]int{strings.Repeat("x", 256): 400, "\xff": 400, "\x00": 400} {
		b.get("/console/?" + url.Values{"q": {query}}.Encode())
		b.want(status)
	}
	b.get("/console/?q=203.0.113.7&cursor=x")
	b.want(400, "cursor")
}

// A subject's page has live and ended sessions with why they ended, however many there are, page by
// page.
func TestSubject(t *testing.T) {
	t.Parallel()
	k := setup(t)
	var want []string
	for i := range 60 {
		session, _ := k.create(t, sessionstore.CreateParams{Subject: "a&b", Client: sessionstore.Client{UserAgent: firefox}})
		if i%3 == 0 {
			if err := k.Invalidate(t.Context(), session.ID, sessionstore.Cause{Reason: sessionstore.ReasonBackend, By: "shop"}); err != nil {
				t.Fatal(err)
			}
		}
		want = append([]string{session.ID.String()}, want...)
	}
	b := k.signedIn(t, graceKey)
	var got []string
	for path := "/console/subject?id=a%26b"; path != ""; {
		b.get(path)
		b.want(200, "Firefox on Linux", "Ended by the backend “shop”", "<rect class=\"life\"")
		for _, m := range regexp.MustCompile(`<a href="./sessions/([0-9a-f-]{36})"`).FindAllStringSubmatch(b.page, -1) {
			got = append(got, m[1])
		}
		path = ""
		if m := regexp.MustCompile(`href="([^"]+)" rel="next"`).FindStringSubmatch(b.page); m != nil {
			path = "/console/" + strings.TrimPrefix(strings.ReplaceAll(m[1], "&amp;", "&"), "./")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.get("/console/subject?id=nobody")
	b.want(200, "There are no sessions")
	b.get("/console/subject")
	b.want(404)
}

// Whatever ended a session is said in words.
func TestReasons(t *testing.T) {
	t.Parallel()
	k := setup(t)
	other := uuid.NewString()
	b := k.signedIn(t, graceKey)
	for reason, c := range map[sessionstore.Reason]struct{ by, want string }{
		sessionstore.ReasonSignedOut:           {other, "Signed out by its user, on this device"},
		sessionstore.ReasonSignedOutElsewhere:  {other, "../sessions/" + other},
		sessionstore.ReasonSignedOutEverywhere: {other, "Signed out everywhere"},
		sessionstore.ReasonBackend:             {"shop", "the backend “shop”"},
		sessionstore.ReasonGlobalRevocation:    {"idp", "the identity provider “idp”"},
		sessionstore.ReasonOperator:            {"eve@desk", "the operator “eve@desk”"},
		sessionstore.ReasonAllSignedOut:        {"eve@desk", "All users were signed out"},
		sessionstore.ReasonLimit:               {"not an id", "Ended to make room"},
		sessionstore.ReasonReplaced:            {other, "another session took its place"},
		sessionstore.ReasonTheft:               {"lockstep", "again and again"},
		sessionstore.ReasonMaxAge:              {"", "It reached the maximum age of sessions"},
		"of a newer release":                   {"x", "of a newer release"},
		"":                                     {"", "why was not recorded"},
	} {
		session, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
		k.exec(t, `UPDATE "sessionStore" SET "revokedAt" = now(), "endReason" = NULLIF($2, ''), "endedBy" = NULLIF($3, '') WHERE "id" = $1`, session.ID, string(reason), c.by)
		b.get("/console/sessions/" + session.ID.String())
		b.want(200, c.want)
		b.wantNot("End this session")
	}
	for column, want := range map[string]string{`"expiresAt" = now()`: "not used for too long", `"expiresAt" = now(), "sessionExpiresAt" = now()`: "it reached its end"} {
		session, _ := k.create(t, sessionstore.CreateParams{Subject: "bob"})
		k.exec(t, `UPDATE "sessionStoreToken" SET `+column+` WHERE "session" = $1`, session.ID)
		b.get("/console/sessions/" + session.ID.String())
		b.want(200, want)
	}
}

// Data is shown to operators with the right, claims to all, and tokens to none.
func TestSessionPage(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, pair := k.create(t, sessionstore.CreateParams{
		Subject: "ada", Data: []byte(`{"cart":"only-for-some"}`), Claims: []byte(`{"tier":"gold"}`), Client: sessionstore.Client{UserAgent: firefox, IP: "203.0.113.7"},
	})
	path := "/console/sessions/" + session.ID.String()
	b := k.signedIn(t, graceKey)
	b.get(path)
	b.want(200, "&#34;tier&#34;: &#34;gold&#34;", "right “read-data”", "Firefox on Linux</bdi>, 203.0.113.7", "Never refreshed", "Expires")
	b.wantNot("only-for-some", string(pair.AccessToken), string(pair.RefreshToken))
	b = k.signedIn(t, dataKey)
	b.get(path)
	b.want(200, "only-for-some", "&#34;tier&#34;: &#34;gold&#34;")
	b.wantNot("right “read-data”", string(pair.AccessToken), string(pair.RefreshToken))
	for _, wrong := range []string{"x", uuid.NewString()} {
		b.get("/console/sessions/" + wrong)
		b.want(404, "no session with that id")
	}
}

// Changes come in the order in which they happened, with the session that this one replaced.
func TestSessionChanges(t *testing.T) {
	t.Parallel()
	k := setup(t)
	guest, _ := k.create(t, sessionstore.CreateParams{})
	session, _, err := k.Replace(t.Context(), sessionstore.Replaced{SessionID: guest.ID}, sessionstore.CreateParams{
		Subject: "ada", Authentication: &tokens.Authentication{ACR: "urn:example:gold"},
	})
	if err != nil {
		t.Fatal(err)
	}
	b := k.signedIn(t, graceKey)
	path := "/console/sessions/" + session.ID.String()
	for _, order := range [][]string{
		{"Last refreshed, 3 times", "Its data was last changed", "Its claims were last replaced"}, {"Its claims were last replaced", "Last refreshed, 3 times", "Its data was last changed"},
	} {
		for i, change := range order {
			column := map[string]string{"Its data was last changed": `"updatedAt"`, "Its claims were last replaced": `"supersededAt"`, "Last refreshed, 3 times": `"issuedAt"`}[change]
			table, key := "sessionStoreToken", "session"
			if column == `"updatedAt"` {
				table, key = "sessionStore", "id"
			}
			k.exec(t, `UPDATE "`+table+`" SET `+column+` = now() + $2 * interval '1 s' WHERE "`+key+`" = $1`, session.ID, i+1)
		}
		k.exec(t, `UPDATE "sessionStoreToken" SET "generation" = 3 WHERE "session" = $1`, session.ID)
		b.get(path)
		b.want(200, "in place of <a class=\"id\" href=\"../sessions/"+guest.ID.String(), "which had no subject", "at level urn:example:gold")
		at := -1
		for _, change := range order {
			next := strings.Index(b.page, change)
			if next <= at {
				t.Errorf("%q is not in its place of %q", change, order)
			}
			at = next
		}
	}
	b.get("/console/sessions/" + guest.ID.String())
	b.want(200, "another session took its place", "../sessions/"+session.ID.String())
}

// Operators end one session, all of a subject, and all but one; the trail and the session say who.
func TestEnd(t *testing.T) {
	t.Parallel()
	k := setup(t)
	var ids []uuid.UUID
	for range 4 {
		session, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
		ids = append(ids, session.ID)
	}
	live := func() (n int) {
		for _, id := range ids {
			switch e := k.ending(t, id); {
			case e.At.IsZero():
				n++
			case e.Reason != sessionstore.ReasonOperator || e.By != "grace":
				t.Errorf("%+v", e)
			}
		}
		return n
	}
	b := k.signedIn(t, graceKey)
	b.get("/console/subject?id=ada")
	b.submit("/console/sessions/"+ids[0].String()+"/end", nil)
	b.want(200, "1 session has ended")
	if !strings.HasPrefix(b.path, "/console/subject?") || live() != 3 || k.ending(t, ids[0]).At.IsZero() {
		t.Errorf("%s, %d live", b.path, live())
	}
	k.recorded(t, func(e map[string]any) bool {
		return e["event"] == "session.revoked" && e["session_id"] == ids[0].String() && cmp.Equal(e["actor"], any(map[string]any{"type": "operator", "id": "grace"}))
	})
	b.get("/console/sessions/" + ids[1].String())
	b.submit("/console/subject/end?id=ada", url.Values{"keep": {ids[1].String()}})
	b.want(200, "2 sessions have ended")
	if live() != 1 || !k.ending(t, ids[1]).At.IsZero() {
		t.Errorf("%d live", live())
	}
	b.get("/console/subject?id=ada")
	b.submit("/console/subject/end?id=ada", nil)
	b.want(200, "1 session has ended")
	if live() != 0 {
		t.Errorf("%d live", live())
	}
	event := k.recorded(t, func(e map[string]any) bool { return e["event"] == "sessions.revoked" && e["kept_session_id"] == nil })
	if !cmp.Equal(event["actor"], any(map[string]any{"type": "operator", "id": "grace"})) || event["client_ip"] == nil {
		t.Errorf("%v", event)
	}
}

// Nothing is done for a form without its token, another site, or a stranger.
func TestFormsAreGuarded(t *testing.T) {
	t.Parallel()
	k := setup(t)
	session, _ := k.create(t, sessionstore.CreateParams{Subject: "ada"})
	end := "/console/sessions/" + session.ID.String() + "/end"
	b := k.signedIn(t, graceKey)
	b.post(end, url.Values{})
	b.want(403, "Nothing was done")
	b.get("/console/subject?id=ada")
	token := formToken.FindStringSubmatch(b.page)[1]
	b.send(http.MethodPost, end, url.Values{"csrf_token": {token}}, "Sec-Fetch-Site", "cross-site")
	b.want(403, "Nothing was done")
	other := k.signedIn(t, dataKey)
	other.post(end, url.Values{"csrf_token": {token}})
	other.want(403, "Nothing was done")
	stranger := k.browser(t)
	stranger.post(end, url.Values{"csrf_token": {token}})
	stranger.want(200, "Service key")
	b.get(end) // a link does nothing
	b.want(404)
	if e := k.ending(t, session.ID); !e.At.IsZero() {
		t.Errorf("%+v", e)
	}
}

// A theft is described in words, with both parties; an earlier one with what is known.
func TestThefts(t *testing.T) {
	t.Parallel()
	k := setup(t)
	b := k.signedIn(t, graceKey)
	b.get("/console/thefts")
	b.want(200, "No theft was noticed")
	for i, subject := range []string{"ada", "bob"} {
		session, first := k.create(t, sessionstore.CreateParams{Subject: subject, Client: sessionstore.Client{UserAgent: firefox, IP: "203.0.113.7"}})
		k.exec(t, `UPDATE "sessionStoreToken" SET "createdAt" = "createdAt" - interval '1 hour', "settledAt" = now() - interval '1 hour' WHERE "session" = $1`, session.ID)
		refreshed, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{UserAgent: firefox, IP: "203.0.113.7"})
		if err != nil {
			t.Fatal(err)
		}
		k.exec(t, `UPDATE "sessionStoreToken" SET "issuedAt" = "issuedAt" - interval '1 hour', "confirmedAt" = now() - interval '1 hour' WHERE "session" = $1`, session.ID)
		if _, err := k.RefreshTokens(t.Context(), string(first.RefreshToken), sessionstore.Client{UserAgent: "curl/8.5", IP: "198.51.100.23"}); !errors.Is(err, sessionstore.ErrReuse) {
			t.Fatal(err)
		}
		if i == 1 {
			k.exec(t, `UPDATE "sessionStore" SET "theft" = NULL WHERE "id" = $1`, session.ID)
		}
		path := fmt.Sprintf("/console/thefts/%s", session.ID)
		for _, from := range []string{"/console/thefts", "/console/sessions/" + session.ID.String()} {
			b.get(from)
			b.want(200, subject)
			if !slices.Contains(b.leads("href"), path) {
				t.Errorf("%s does not lead to %s", from, path)
			}
		}
		b.get(path)
		b.want(200, subject, "came back after its successor was in use", map[int]string{0: "Two different clients", 1: "An earlier release noticed this theft"}[i])
		if i == 0 {
			b.want(200, "curl/8.5", "198.51.100.23", "Firefox on Linux", "203.0.113.7", "The old token came back")
		}
		b.wantNot(string(first.RefreshToken), string(refreshed.Pair.RefreshToken))
	}
	b.get("/console/thefts/" + uuid.NewString())
	b.want(404)
}
