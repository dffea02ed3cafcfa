package sessionhttp_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// As many claims as a session may have: each cookie is one that browsers keep.
func TestLargeTokens(t *testing.T) {
	t.Parallel()
	s := newSite(t, sessionhttp.Config{Optional: true}, unchangedConfig)
	large := sessionstore.CreateParams{Subject: "ann", Claims: []byte(`{"groups":"` + strings.Repeat("x", tokens.MaxCustomBytes-60) + `"}`)}
	login := s.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := s.Begin(w, r, cart{Items: []string{"tea"}}, large); err != nil {
			t.Error(err)
		}
	}))
	ann := browser{}
	w := ann.send(t, login, http.MethodPost)
	ann.keep(w)
	for _, cookie := range w.Header()["Set-Cookie"] {
		if len(cookie) > 4096 {
			t.Errorf("a cookie of %d bytes", len(cookie))
		}
	}
	if len(ann) != 3 {
		t.Errorf("%d cookies", len(ann))
	}
	if w := ann.send(t, s, http.MethodGet); w.Body.String() != "tea" || w.Header()["Set-Cookie"] != nil {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	for name, change := range map[string]func(browser){
		"a part is missing":          func(b browser) { delete(b, accessCookie+".2") },
		"a part is another's":        func(b browser) { b[accessCookie+".2"] = b[refreshCookie] },
		"the number is another":      func(b browser) { b[accessCookie] = "3" + b[accessCookie][1:] },
		"the number is out of range": func(b browser) { b[accessCookie] = "9" + b[accessCookie][1:] },
	} {
		spoilt := maps.Clone(ann)
		change(spoilt)
		if got := spoilt.open(t, s, http.MethodGet); got != "200 tea" || spoilt[accessCookie] == ann[accessCookie] {
			t.Errorf("%s: %s", name, got)
		}
	}
	small := maps.Clone(ann)
	small.open(t, s, http.MethodPost) // parts of the larger token are still there
	if got := small.open(t, s, http.MethodPut); got != "200 tea,milk" {
		t.Error(got)
	}
	if small.open(t, s, http.MethodDelete); len(small) != 0 {
		t.Errorf("%d cookies after the end", len(small))
	}
}
