package sessionhttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

func TestBody(t *testing.T) {
	t.Parallel()
	k := setup(t, sessionhttp.Config{Transport: sessionhttp.Body("")})
	const form = "application/x-www-form-urlencoded"
	for _, test := range []struct {
		kind, body string
		want       int
	}{
		{form, "access_token=" + k.access + "&item=tea", http.StatusOK},
		{form + "; charset=utf-8", "item=tea&access_token=" + k.access, http.StatusOK},
		{form, "item=tea", http.StatusUnauthorized},
		{form, "access_token=&item=tea", http.StatusUnauthorized},
		{form, "access_token=nonsense", http.StatusUnauthorized},
		{form, "access_token=" + k.access + "&access_token=" + k.access, http.StatusUnauthorized},
		{form, "access_token=%zz", http.StatusUnauthorized},
		{"text/plain", "access_token=" + k.access, http.StatusUnauthorized},
		{"", "access_token=" + k.access, http.StatusUnauthorized},
	} {
		// The query has one too, which is not read: it would be in logs.
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?access_token="+url.QueryEscape(k.access), strings.NewReader(test.body))
		r.Header.Set("Content-Type", test.kind)
		w := httptest.NewRecorder()
		var item string
		k.manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { item = r.PostFormValue("item") })).ServeHTTP(w, r)
		if w.Code != test.want || w.Code == http.StatusOK && item != "tea" {
			t.Errorf("%q %q: %d, item %q", test.kind, test.body, w.Code, item)
		}
	}
}
