package events_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// An event goes where the operator said: to no address that an answer names.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	k, inside := setup(t), newReceiver(t)
	redirects := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusTemporaryRedirect))
	defer redirects.Close()
	stop := k.run(t, endpointOf("redirects", redirects.URL))
	k.create(t, sessionstore.CreateParams{})
	k.await(t, `SELECT count(*) = 1 FROM "sessionStoreDelivery" WHERE "lastError" = 'the endpoint answered 307'`)
	stop()
	if got := inside.all(); len(got) != 0 {
		t.Errorf("it was sent on: %+v", got)
	}
}

// An endpoint that requests a pause is sent nothing meanwhile, neither what it refused nor
// anything else; other endpoints are.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(http.Header){
		"seconds": func(h http.Header) { h.Set("Retry-After", "1800") },
		"a date, by the endpoint's own clock": func(h http.Header) {
			const date, later = "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:58:00 GMT"
			h.Set("Date", date)
			h.Set("Retry-After", later)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, r := setup(t), newReceiver(t)
			var asked atomic.Int32
			busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				asked.Add(1)
				after(w.Header())
				w.WriteHeader(http.StatusTooManyRequests)
			}))
			defer busy.Close()
			k.run(t, endpointOf("busy", busy.URL), endpointOf("receiver", r.URL))
			k.create(t, sessionstore.CreateParams{})
			k.await(t, `SELECT count(*) = 1 FROM "sessionStoreDelivery" WHERE "endpoint" = 'busy' AND "lastError" = 'the endpoint answered 429' AND "dueAt" > now() + interval '29 minutes'`)
			for range 3 {
				k.create(t, sessionstore.CreateParams{})
			}
			r.await(4)
			k.create(t, sessionstore.CreateParams{}) // which busy's worker would have sent after the three
			r.await(5)
			k.await(t, `SELECT count(*) = 5 AND sum("attempts") = 1 FROM "sessionStoreDelivery" WHERE "endpoint" = 'busy'`)
			if n := asked.Load(); n != 1 {
				t.Errorf("it was asked %d times", n)
			}
		})
	}
}

// No endpoint's request delays an event for longer than an hour, and an invalid one has
// no effect.
func TestRetryAfterHasABound(t *testing.T) {
	t.Parallel()
	k := setup(t)
	wishes := []string{"-5", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "2147483647"}
	var asked atomic.Int32
	greedy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := int(asked.Add(1))
		w.Header().Set("Retry-After", wishes[(n-1)%len(wishes)])
		w.WriteHeader(500 + n)
	}))
	defer greedy.Close()
	k.run(t, endpointOf("greedy", greedy.URL))
	k.create(t, sessionstore.CreateParams{})
	for n := range wishes {
		k.await(t, fmt.Sprintf(`SELECT count(*) = 1 FROM "sessionStoreDelivery" WHERE "lastError" = 'the endpoint answered %d'`, 501+n))
		if n < len(wishes)-1 {
			k.await(t, `SELECT "dueAt" < now() + interval '1 minute' FROM "sessionStoreDelivery"`)
			k.exec(t, `UPDATE "sessionStoreDelivery" SET "dueAt" = now()`)
		}
	}
	k.await(t, `SELECT "dueAt" > now() + interval '59 minutes' AND "dueAt" < now() + interval '61 minutes' FROM "sessionStoreDelivery"`)
}
