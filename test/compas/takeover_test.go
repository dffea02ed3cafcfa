package compas_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// From the application with Compas to a service that has taken it over, by the built binary alone.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	c := startCompas(t)
	live := c.signIn(map[string]any{"user": 7, "cart": []string{"tea"}})
	rotated := c.signIn(map[string]any{"user": 8})
	next := c.refresh(rotated)
	out := c.signIn(map[string]any{"user": 9})
	c.must("invalidate", c.session(out), nil)
	list := c.signIn([]int{1, 2})
	before := c.session(live)

	c.stop()
	c.migrate()
	c.pass(60)
	s := c.startService(nil)

	found := s.introspect(live.Access)
	if !found.Active || found.Session.ID != before.ID || found.Sid != before.ID || found.Exp == nil {
		t.Fatalf("an access token of Compas: %+v", found)
	}
	if diff := cmp.Diff(decode(t, before.Data), decode(t, found.Session.Data)); diff != "" {
		t.Error(diff)
	}
	if got := s.introspect(list.Access); !got.Active || string(got.Session.Data) != "[1,2]" && string(got.Session.Data) != "[1, 2]" {
		t.Errorf("data that is not an object: %+v", got)
	}
	var row string
	if err := c.pool.QueryRow(t.Context(), `SELECT "id" FROM "sessionStoreToken" WHERE "session" = $1 AND "refreshToken" IS NOT NULL`, before.ID).Scan(&row); err != nil {
		t.Fatal(err)
	}
	if got := s.introspect(sign(`{"compasSessionAccessToken":"` + row + `"}`)); !got.Active || got.Exp != nil {
		t.Errorf("an access token that never expires: %+v", got)
	}
	for what, token := range map[string]string{
		"a refresh token": live.Refresh, "a token that Compas has rotated": rotated.Access, "a session that Compas has ended": out.Access,
	} {
		if got := s.introspect(token); got.Active {
			t.Errorf("%s is active", what)
		}
	}
	if status, body := s.Send(http.MethodGet, s.Public+"/v1/me/sessions/current", live.Access, nil); status != http.StatusOK || !strings.Contains(body, before.ID) {
		t.Errorf("the own session: %d %s", status, body)
	}

	// The checksum of Compas is valid for a write.
	data := s.Internal + "/v1/sessions/" + before.ID + "/data"
	if status, body := s.Send(http.MethodPut, data, testservice.Key, `{"user":7,"cart":[]}`, "If-Match", `"`+found.Session.Checksum+`"`); status >= 300 {
		t.Errorf("put data: %d %s", status, body)
	}
	if status, _ := s.Send(http.MethodPut, data, testservice.Key, `{"user":7}`, "If-Match", `"`+found.Session.Checksum+`"`); status != http.StatusPreconditionFailed {
		t.Errorf("put data on what was read before: %d", status)
	}

	ours := s.mustRefresh(live.Refresh)
	if ours.ExpiresIn != 600 {
		t.Errorf("the access token lives for %d s, as those of Compas did for 600", ours.ExpiresIn)
	}
	if again := s.mustRefresh(live.Refresh); again.Refresh != ours.Refresh || again.Access != ours.Access {
		t.Error("a second tab gets another pair")
	}
	if got := s.introspect(ours.Access); !got.Active || got.Session.ID != before.ID {
		t.Errorf("an access token of ours: %+v", got)
	}
	if s.introspect(live.Access).Active {
		t.Error("the access token that was replaced is active")
	}
	s.mustRefresh(next.Refresh)
	if status, answer := s.refresh(out.Refresh); status != http.StatusBadRequest || answer.Error != "invalid_grant" {
		t.Errorf("a session that Compas has ended is refreshed: %d %+v", status, answer)
	}

	// Log-out with a token of Compas, on a route that reads no database with ours.
	if status, body := s.Send(http.MethodDelete, s.Public+"/v1/me/sessions/current", list.Access, nil); status != http.StatusNoContent {
		t.Errorf("log out: %d %s", status, body)
	}
	if s.introspect(list.Access).Active {
		t.Error("a session that was ended is active")
	}

	// Reuse: the session ends, and a report is made.
	for began := time.Now(); c.count(`SELECT count(*) FROM "sessionStoreToken" WHERE "session" = $1 AND "confirmedAt" IS NOT NULL`, before.ID) == 0; {
		if time.Since(began) > testservice.Patience {
			t.Fatal("the use of our pair is not recorded")
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.pass(3600)
	if status, answer := s.refresh(live.Refresh); status != http.StatusBadRequest || answer.Error != "invalid_grant" {
		t.Errorf("a token of Compas that comes back: %d %+v", status, answer)
	}
	if s.introspect(ours.Access).Active {
		t.Error("the session of a stolen token is still live")
	}
	s.Await("report of the stolen token", func() bool { return strings.Contains(s.Stderr.String(), before.ID) })
}

// Tokens that Compas rotated long before are presented only by a thief.
func TestReuseOfWhatCompasRotated(t *testing.T) {
	t.Parallel()
	c := startCompas(t)
	old := c.signIn(map[string]any{})
	newer := c.refresh(old)
	c.pass(60)
	c.migrate()
	s := c.startService(nil)
	ours := s.mustRefresh(newer.Refresh)
	if status, answer := s.refresh(old.Refresh); status != http.StatusBadRequest || answer.Error != "invalid_grant" {
		t.Errorf("%d %+v", status, answer)
	}
	if s.introspect(ours.Access).Active {
		t.Error("the session is still live")
	}
}

// Compas and the service on one database, while an application is moved.
func TestSideBySide(t *testing.T) {
	t.Parallel()
	c := startCompas(t)
	first := c.signIn(map[string]any{"n": 1})
	c.migrate()
	s := c.startService(nil)
	p := c.signIn(map[string]any{"n": 2}) // on the new schema

	// Each reads what the other one writes.
	found := s.introspect(p.Access)
	session := c.session(p)
	session.Data = json.RawMessage(`{"n":3}`)
	c.must("update", session, nil)
	if got := s.introspect(p.Access); !got.Active || string(got.Session.Data) != `{"n":3}` && string(got.Session.Data) != `{"n": 3}` {
		t.Errorf("what Compas wrote: %+v", got)
	}
	data := s.Internal + "/v1/sessions/" + session.ID + "/data"
	if status, _ := s.Send(http.MethodPut, data, testservice.Key, `{"n":4}`, "If-Match", `"`+found.Session.Checksum+`"`); status != http.StatusPreconditionFailed {
		t.Errorf("a write over one of Compas: %d", status)
	}

	// Compas refreshes, then we, then Compas again with the same token: none of them loses its
	// session.
	theirs := c.refresh(p)
	ours := s.mustRefresh(theirs.Refresh)
	twin := c.refresh(theirs) // in its 15 s
	if !s.introspect(ours.Access).Active || !s.introspect(twin.Access).Active {
		t.Error("one of two tabs is logged out")
	}
	if key := c.call("get", ours.Access, nil); key == "" {
		t.Error("Compas takes a token of ours")
	}
	c.pass(120)
	ours = s.mustRefresh(ours.Refresh)
	if got := s.mustRefresh(twin.Refresh); !s.introspect(got.Access).Active || !s.introspect(ours.Access).Active {
		t.Error("one of two tabs is logged out")
	}

	// A log-out with either one counts for both.
	c.must("invalidate", session, nil)
	c.pass(120)
	if s.introspect(ours.Access).Active {
		t.Error("a session that Compas ended is active")
	}
	if status, _ := s.refresh(ours.Refresh); status != http.StatusBadRequest {
		t.Errorf("a session that Compas ended is refreshed: %d", status)
	}
	before := c.session(first)
	if status, _ := s.Send(http.MethodDelete, s.Internal+"/v1/sessions/"+before.ID, testservice.Key, nil); status != http.StatusNoContent {
		t.Errorf("end a session: %d", status)
	}
	if key := c.call("get", first.Access, nil); key != "sessionStore.get.revokedToken" {
		t.Errorf("Compas, of a session that we ended: %q", key)
	}
	if key := c.call("refresh", first.Refresh, nil); key != "sessionStore.refreshTokens.revokedToken" {
		t.Errorf("Compas refreshes a session that we ended: %q", key)
	}

	// Compas notices reuse of what we exchanged, too, and its cleanup leaves our tokens alone.
	third := c.signIn(map[string]any{})
	ours = s.mustRefresh(third.Refresh)
	c.must("cleanup", 1, nil)
	if !s.introspect(ours.Access).Active {
		t.Error("the cleanup of Compas ends a session of ours")
	}
	c.pass(60)
	if key := c.call("refresh", third.Refresh, nil); key != "sessionStore.refreshTokens.revokedToken" {
		t.Errorf("Compas takes a token that we exchanged: %q", key)
	}
	if s.introspect(ours.Access).Active {
		t.Error("Compas saw a stolen token, and the session is still live")
	}
	if n := c.count(`SELECT count(*) FROM "job" WHERE "name" = 'compas.sessionStore.potentialLeakedSession'`); n != 1 {
		t.Errorf("%d reports of Compas", n)
	}
}

// Rows that are no longer needed are removed, and no live session is.
func TestCleanup(t *testing.T) {
	t.Parallel()
	c := startCompas(t)
	idle := c.signIn(map[string]any{})
	busy := c.signIn(map[string]any{})
	for range 3 {
		busy = c.refresh(busy)
	}
	c.exec(`INSERT INTO "sessionStore" ("checksum", "data", "createdAt") VALUES ('', '{}', now() - interval '2 days')`) // Compas was stopped
	c.pass(20 * 24 * 3600)
	c.exec(`UPDATE "sessionStoreToken" SET "expiresAt" = now() + interval '1 day' WHERE "revokedAt" IS NULL AND "session" = $1`, c.session(busy).ID)
	c.migrate()
	s := c.startService(testservice.Env{"LATCHKEY_CLEANUP_INTERVAL": "0"})
	ours := s.mustRefresh(busy.Refresh)
	s.cleanup()
	if n := c.count(`SELECT count(*) FROM "sessionStore"`); n != 1 {
		t.Errorf("%d sessions are left", n)
	}
	if n := c.count(`SELECT count(*) FROM "sessionStoreToken"`); n != 3 { // a pair of Compas, just exchanged, and ours
		t.Errorf("%d token rows are left", n)
	}
	if !s.introspect(ours.Access).Active {
		t.Error("a session that is in use has gone")
	}
	if status, _ := s.refresh(idle.Refresh); status != http.StatusBadRequest {
		t.Errorf("a session that expired is refreshed: %d", status)
	}
}

func decode(t *testing.T, data []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

// sign is a token of Compas with this payload.
func sign(payload string) string {
	encode := base64.RawURLEncoding.EncodeToString
	message := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode([]byte(payload))
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write([]byte(message))
	return message + "." + encode(mac.Sum(nil))
}
