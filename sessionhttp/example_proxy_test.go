package sessionhttp_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/latchkey-sessions/latchkey/memstore"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// A backend for a frontend: the page has cookies, and the API gets an access token.
func ExampleManager_Proxy() {
	ctx := context.Background()
	store := memstore.MustNew(sessionstore.Config{}) // in a program: sessionstore.New
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, err := sessionhttp.BearerToken(r)
		if err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		session, _, err := store.GetWith(r.Context(), token, sessionstore.GetOptions{Unconfirmed: true})
		if err != nil {
			sessionhttp.Error(w, r, err)
			return
		}
		_, _ = fmt.Fprintf(w, "%s %s, without cookies: %t", session.Subject, r.URL.Path, r.Header.Get("Cookie") == "")
	}))
	defer api.Close()
	target, err := url.Parse(api.URL)
	if err != nil {
		panic(err)
	}

	sessions := sessionhttp.New[struct{}](store, sessionhttp.Config{Transport: sessionhttp.Cookies{}})
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", sessions.Proxy(target, nil)))
	site := sessions.Handler(mux)

	_, pair, err := store.Create(ctx, sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		panic(err)
	}
	login := http.Header{}
	sessionhttp.Cookies{}.Write(login, pair)
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/orders", http.NoBody)
	for _, cookie := range (&http.Response{Header: login}).Cookies() {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	site.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// 200 ann /orders, without cookies: true
}
