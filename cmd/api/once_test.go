package main_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/internal/testservice"
)

// A creation that is sent again gives one session, whichever replica it reaches: both at
// once, the other one after the answer was lost, and the other one after the first was killed.
func TestCreationIsSentAgain(t *testing.T) {
	t.Parallel()
	settings := configure(t, testdb.URL(t)).With(env{"LATCHKEY_ISSUER": "http://localhost:8080"})
	s, other := start(t, t.TempDir(), settings), start(t, t.TempDir(), settings)
	const key = `"8e03978e-40d5-43e8-bc93-6894a57f9324"`
	send := func(at *service, internal, key, body string) testservice.Answer {
		return <-at.SendBeside(http.MethodPost, internal+"/v1/sessions", testKey, body, "Idempotency-Key", key)
	}
	sessions := func(subject string) int {
		t.Helper()
		status, answer := other.Send(http.MethodGet, other.Internal+"/v1/sessions?subject="+subject, testKey, nil)
		var page struct {
			Sessions []struct{} `json:"sessions"`
		}
		if err := json.Unmarshal([]byte(answer), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%s's sessions: %d %s", subject, status, answer)
		}
		return len(page.Sessions)
	}

	const body = `{"subject":"ada","data":{"n":1}}`
	var answers []<-chan testservice.Answer
	for range 20 {
		for _, at := range []*service{s, other} {
			answers = append(answers, at.SendBeside(http.MethodPost, at.Internal+"/v1/sessions", testKey, body, "Idempotency-Key", key))
		}
	}
	pairs := map[testservice.Pair]bool{}
	for _, answer := range answers {
		got := <-answer
		if got.Status != http.StatusCreated {
			t.Fatalf("at once: %d %s", got.Status, got.Body)
		}
		pairs[unsigned(testservice.ParsePair(t, got.Body))] = true
	}
	if n := sessions("ada"); n != 1 || len(pairs) != 1 {
		t.Errorf("40 at once: %d sessions, %d pairs", n, len(pairs))
	}
	for _, another := range []string{`{"subject":"ada","data":{"n":2}}`, `{"subject":"eve","data":{"n":1}}`, `{"subject":"ada"}`} {
		if got := send(other, other.Internal, key, another); got.Status != http.StatusUnprocessableEntity || !strings.Contains(got.Body, `"idempotency_key_reused"`) {
			t.Errorf("%s: %d %s", another, got.Status, got.Body)
		}
	}

	// The answer is lost behind the service: what was made is found at the other replica.
	target, err := url.Parse(s.Internal)
	if err != nil {
		t.Fatal(err)
	}
	lossy := httputil.NewSingleHostReverseProxy(target)
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lossy.ServeHTTP(httptest.NewRecorder(), r)
		connection, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = connection.Close()
	}))
	t.Cleanup(between.Close)
	if got := send(s, between.URL, "lost", `{"subject":"bob"}`); got.Status != 0 {
		t.Fatalf("the answer was not lost: %d %s", got.Status, got.Body)
	}
	if n := sessions("bob"); n != 1 {
		t.Fatalf("%d sessions whose answer was lost", n)
	}
	bob := send(other, other.Internal, "lost", `{"subject":"bob"}`)
	if n := sessions("bob"); bob.Status != http.StatusCreated || n != 1 {
		t.Errorf("after a lost answer: %d %s, %d sessions", bob.Status, bob.Body, n)
	}

	// A key whose session has ended makes no second one, at either replica.
	id := testservice.ParsePair(t, bob.Body).Session.ID
	if status, answer := s.Send(http.MethodDelete, s.Internal+"/v1/sessions/"+id, testKey, nil); status != http.StatusNoContent {
		t.Fatalf("%d %s", status, answer)
	}
	for _, at := range []*service{s, other} {
		if got := send(at, at.Internal, "lost", `{"subject":"bob"}`); got.Status != http.StatusConflict || !strings.Contains(got.Body, `"session_ended"`) {
			t.Errorf("after the end: %d %s", got.Status, got.Body)
		}
	}

	// The replica that got the request is killed: whether or not it had made the session, there
	// is exactly one.
	asked := s.SendBeside(http.MethodPost, s.Internal+"/v1/sessions", testKey, `{"subject":"carl"}`, "Idempotency-Key", "killed")
	s.End(syscall.SIGKILL)
	first := <-asked
	carl := send(other, other.Internal, "killed", `{"subject":"carl"}`)
	if n := sessions("carl"); carl.Status != http.StatusCreated || n != 1 {
		t.Errorf("after the replica was killed: %d %s, %d sessions", carl.Status, carl.Body, n)
	}
	if first.Status == http.StatusCreated && unsigned(testservice.ParsePair(t, first.Body)) != unsigned(testservice.ParsePair(t, carl.Body)) {
		t.Error("the replica that was killed had given another pair")
	}
}

// unsigned is a pair without its signatures, of which some algorithms make another each time.
func unsigned(pair testservice.Pair) testservice.Pair {
	pair.AccessToken = pair.AccessToken[:strings.LastIndexByte(pair.AccessToken, '.')]
	pair.RefreshToken = pair.RefreshToken[:strings.LastIndexByte(pair.RefreshToken, '.')]
	return pair
}
