package events_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const authorization = "Bearer a-token-that-the-receiver-knows"

// setReceiver takes Security Event Tokens as RFC 8935 says, and refuses the first ones.
type setReceiver struct {
	*httptest.Server

	refuse atomic.Int32
	got    chan *jwt.Token
}

func newSETReceiver(t *testing.T, public map[string]any) *setReceiver {
	t.Helper()
	r := &setReceiver{got: make(chan *jwt.Token, 10)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, err := io.ReadAll(request.Body)
		if err != nil {
			t.Error(err)
		}
		want := http.Header{"Content-Type": {"application/secevent+jwt"}, "Accept": {"application/json"}, "Authorization": {authorization}}
		for name, value := range want {
			if diff := cmp.Diff(value, request.Header.Values(name)); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		if r.refuse.Add(-1) >= 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"err":"authentication_failed","description":"`+authorization+`"}`)
			return
		}
		set, err := jwt.Parse(string(body), func(token *jwt.Token) (any, error) {
			kid, _ := token.Header["kid"].(string)
			return public[kid], nil
		}, jwt.WithAudience("https://crm.example.com"), jwt.WithIssuer("https://login.example.com"))
		if err != nil {
			t.Errorf("%s: %v", body, err)
		}
		w.WriteHeader(http.StatusAccepted)
		r.got <- set
	}))
	t.Cleanup(r.Close)
	return r
}

// Receivers get what CAEP 1.0 has, in the shape of its examples (§3.1.2 and §3.6.2), and
// signed with a key that the key set has.
func TestSecurityEventTokens(t *testing.T) {
	t.Parallel()
	k := setup(t)
	r := newSETReceiver(t, k.publicKeys(t))
	r.refuse.Store(1)
	began := time.Now()
	k.runSETs(t, r.URL)
	id := k.create(t, sessionstore.CreateParams{Subject: "ada", Client: sessionstore.Client{UserAgent: "UA"}})
	k.await(t, `SELECT count(*) = 1 FROM "sessionStoreDelivery" WHERE "lastError" = 'the endpoint answered 400: authentication_failed'`)
	if err := k.Invalidate(t.Context(), id, sessionstore.Cause{Reason: sessionstore.ReasonOperator, By: "grace"}); err != nil {
		t.Fatal(err)
	}
	anonymous := k.create(t, sessionstore.CreateParams{})

	const caep = "https://schemas.openid.net/secevent/caep/event-type/"
	session := func(id uuid.UUID) map[string]any { return map[string]any{"format": "opaque", "id": id.String()} }
	adas := map[string]any{
		"format": "complex", "session": session(id),
		"user": map[string]any{"format": "iss_sub", "iss": "https://login.example.com", "sub": "ada"},
	}
	type told struct{ subject, events map[string]any }
	want := map[string][]told{
		id.String(): {
			{adas, map[string]any{caep + "session-established": map[string]any{"fp_ua": "1cf587e0bafeb6195595fcbdce170411d52ea40d"}}},
			{adas, map[string]any{caep + "session-revoked": map[string]any{"initiating_entity": "admin", "reason_admin": map[string]any{"en": "Ended by an operator (operator)"}}}},
		},
		anonymous.String(): {
			{map[string]any{"format": "complex", "session": session(anonymous)}, map[string]any{caep + "session-established": map[string]any{}}},
		},
	}
	got, ids := map[string][]told{}, map[string]bool{}
	for range 3 {
		set := r.await(t)
		if set.Header["typ"] != "secevent+jwt" {
			t.Errorf("header %v", set.Header)
		}
		claims := is[jwt.MapClaims](t, set.Claims)
		jti, txn := is[string](t, claims["jti"]), is[string](t, claims["txn"])
		ids[jti] = true
		if uuid.Validate(jti) != nil || uuid.Validate(txn) != nil || txn == jti {
			t.Errorf("jti %v, txn %v", jti, txn)
		}
		event := told{is[map[string]any](t, claims["sub_id"]), is[map[string]any](t, claims["events"])}
		for _, v := range event.events {
			details := is[map[string]any](t, v)
			// The database's clock is this machine's.
			at := is[float64](t, details["event_timestamp"])
			if iat := is[float64](t, claims["iat"]); at < float64(began.Unix()-1) || iat < at || iat > float64(time.Now().Unix()+1) {
				t.Errorf("event_timestamp %v, iat %v", at, iat)
			}
			delete(details, "event_timestamp")
		}
		about := is[string](t, is[map[string]any](t, event.subject["session"])["id"])
		got[about] = append(got[about], event)
		for _, used := range []string{"iss", "aud", "iat", "jti", "txn", "sub_id", "events"} {
			delete(claims, used)
		}
		if len(claims) > 0 {
			t.Errorf("there is more in it, such as sub or exp, which it may not have: %v", claims)
		}
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(told{}), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if len(ids) != 3 {
		t.Errorf("%d different ids of 3 tokens", len(ids))
	}
	k.await(t, `SELECT count(*) = 0 FROM "sessionStoreDelivery"`)
}

// is returns what is expected to be a T.
func is[T any](t *testing.T, v any) T {
	t.Helper()
	is, ok := v.(T)
	if !ok {
		t.Fatalf("%v is %T", v, v)
	}
	return is
}

// Only 202 takes a token: another answer may come from anyone.
func TestOnly202TakesASecurityEventToken(t *testing.T) {
	t.Parallel()
	k := setup(t)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	stop := k.runSETs(t, server.URL)
	k.create(t, sessionstore.CreateParams{})
	k.await(t, `SELECT count(*) = 1 FROM "sessionStoreDelivery" WHERE "lastError" = 'the endpoint answered 200, which is not 202'`)
	stop()
}

func (k kit) runSETs(t *testing.T, url string) (stop func()) {
	t.Helper()
	cfg := config(k.pool, events.Endpoint{
		Name: "crm", URL: tokens.Secret(url), Format: events.FormatSET, Audience: "https://crm.example.com",
		Secret: func() (tokens.Secret, error) { return authorization, nil },
	})
	cfg.Issuer, cfg.Sign = "https://login.example.com", k.SignSecurityEvent
	runner, err := events.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k.start(t, runner)
}

// publicKeys are those that the service publishes, by their ids.
func (k kit) publicKeys(t *testing.T) map[string]any {
	t.Helper()
	var set struct {
		Keys []struct {
			KID string `json:"kid"`
			X   string `json:"x"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(k.keys.PublicJWKS(), &set); err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{}
	for _, key := range set.Keys {
		public, err := base64.RawURLEncoding.DecodeString(key.X)
		if err != nil {
			t.Fatal(err)
		}
		keys[key.KID] = ed25519.PublicKey(public)
	}
	return keys
}

func (r *setReceiver) await(t *testing.T) *jwt.Token {
	t.Helper()
	select {
	case set := <-r.got:
		return set
	case <-time.After(patience):
		t.Fatal("no token came")
		return nil
	}
}

// Each reason of the contract has an entity behind it and words, except for the unknown one.
func TestReasonsHaveWords(t *testing.T) {
	t.Parallel()
	contract, err := os.ReadFile("../../httpapi/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`enum: \[(signed_out, [^\]]*)\]`).FindSubmatch(contract)
	if m == nil {
		t.Fatal("the contract lists no reasons")
	}
	got := events.CAEPCauses()
	slices.Sort(got)
	want := slices.DeleteFunc(slices.Sorted(strings.SplitSeq(string(m[1]), ", ")), func(reason string) bool { return reason == string(sessionstore.ReasonNotRecorded) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
