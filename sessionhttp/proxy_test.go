package sessionhttp_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
)

// A page calls an API through its own site: the API gets the session's access token, after a refresh
// if necessary, and no cookie; its own cookies do not reach the browser.
func TestProxy(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	api := httptest.NewServer(sessionhttp.New[cart](s.store, sessionhttp.Config{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "api", Value: "1"})
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s?%s %s, cookies %q, origin %q", r.Method, r.URL.Path, r.URL.RawQuery, body, r.Header["Cookie"], r.Header["Origin"])
	})))
	t.Cleanup(api.Close)
	target, err := url.Parse(api.URL + "/v1")
	if err != nil {
		t.Fatal(err)
	}
	bff := s.Handler(http.StripPrefix("/api", s.Proxy(target, nil)))
	ann := browser{}
	ann.open(t, s, http.MethodPost)
	for _, cookies := range []browser{ann, {refreshCookie: ann[refreshCookie]}} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.example.com/api/orders?page=2", http.NoBody)
		r.Header.Set("Origin", "https://shop.example.com")
		r.Header.Set("Authorization", "Bearer nonsense")
		for name, value := range cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		bff.ServeHTTP(w, r)
		if got, want := fmt.Sprintf("%d %s", w.Code, w.Body), `200 GET /v1/orders?page=2 , cookies [], origin []`; got != want {
			t.Errorf("%s", got)
		}
		fresh := browser{}
		if fresh.keep(w); fresh["api"] != "" || (len(cookies) == 1) != (fresh[accessCookie] != "") {
			t.Errorf("%v", w.Header())
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.example.com/api/orders", http.NoBody)
	w := httptest.NewRecorder()
	if bff.ServeHTTP(w, r); w.Code != http.StatusUnauthorized {
		t.Errorf("a visitor: %d", w.Code)
	}
	api.Close()
	var log logs
	logging := sessionhttp.New[cart](s.store, sessionhttp.Config{Transport: sessionhttp.Cookies{}, Logger: log.logger()})
	if w := ann.send(t, logging.Handler(logging.Proxy(target, nil)), http.MethodGet); w.Code != http.StatusBadGateway || log.String() == "" {
		t.Errorf("an API that is away: %d, the log is %q", w.Code, log.String())
	}
}
