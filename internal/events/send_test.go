package events_test

import (
	"net/http"
	"net/http/httptest"
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
