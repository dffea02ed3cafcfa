package httpapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/tokens"
)

// key is a service key; it is different from every key of another name.
func key(name string, rights ...Right) ServiceKey {
	return ServiceKey{Name: name, Secret: tokens.Secret(name + strings.Repeat("-", minServiceKeyBytes)), Rights: rights}
}

// A key must be one that a header can carry, that nobody guesses, and that the log can name.
func TestServiceKeysAreChecked(t *testing.T) {
	t.Parallel()
	secret := func(text string) []ServiceKey { return []ServiceKey{{Name: "a", Secret: tokens.Secret(text)}} }
	shortest := strings.Repeat("!~", minServiceKeyBytes/2)
	for name, test := range map[string]struct {
		keys []ServiceKey
		want string // empty for accepted
	}{
		"the shortest":        {secret(shortest), ""},
		"a byte less":         {secret(shortest[1:]), "32 or more"},
		"none":                {[]ServiceKey{}, "ServiceKeys is empty"},
		"no name":             {[]ServiceKey{key("")}, "no name"},
		"a space":             {secret(shortest + " x"), "Authorization"},
		"a control character": {secret(shortest + "\x1f"), "Authorization"},
		"a delete character":  {secret(shortest + "\x7f"), "Authorization"},
		"a comma":             {secret(shortest + ","), "Authorization"},
		"not ASCII":           {secret(shortest + "ü"), "Authorization"},
		"two":                 {[]ServiceKey{key("a"), key("b")}, ""},
		"two of a name":       {[]ServiceKey{key("a"), {Name: "a", Secret: key("b").Secret}}, "two service keys"},
		"two of a secret":     {[]ServiceKey{key("a"), {Name: "b", Secret: key("a").Secret}}, "secret of another"},
		"one right":           {[]ServiceKey{key("a", RightEnd)}, ""},
		"all rights":          {[]ServiceKey{key("a", Rights()...)}, ""},
		"no right":            {[]ServiceKey{{Name: "a", Secret: key("a").Secret, Rights: []Right{}}}, "no right"},
		"an unknown right":    {[]ServiceKey{key("a", RightEnd, "ends")}, `"ends", which does not exist`},
		"the second is wrong": {[]ServiceKey{key("a"), key("")}, "no name"},
	} {
		s := new(Server)
		before := []serviceKey{{name: "before"}}
		s.serviceKeys.Store(&before)
		err := s.SetServiceKeys(test.keys)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
		stored := *s.serviceKeys.Load()
		if err != nil && stored[0].name != "before" || err == nil && len(stored) != len(test.keys) {
			t.Errorf("%s: there are %d keys, the first is %q", name, len(stored), stored[0].name)
		}
	}
}

// A key is known by its whole secret, has the rights that it names, and is what it was only while both stay.
func TestServiceKeysAreKnown(t *testing.T) {
	t.Parallel()
	s := new(Server)
	set := func(keys ...ServiceKey) {
		t.Helper()
		if err := s.SetServiceKeys(keys); err != nil {
			t.Fatal(err)
		}
	}
	a, b := key("a"), key("b", RightEnd)
	set(a, b)
	for secret, want := range map[tokens.Secret]string{a.Secret: "a", b.Secret: "b", a.Secret[1:]: "", a.Secret + "-": "", "": ""} {
		info, known := s.Key(string(secret))
		if info.Name != want || known != (want != "") {
			t.Errorf("%q is of %q, %v", secret, info.Name, known)
		}
		byName, known := s.KeyNamed(want)
		if known != (want != "") || byName.Name != want || known && byName.Fingerprint != info.Fingerprint {
			t.Errorf("%q has %+v, %v; by its secret it has %+v", want, byName, known, info)
		}
	}
	ofA, _ := s.KeyNamed("a")
	ofB, _ := s.KeyNamed("b")
	for _, right := range Rights() {
		if ofA.Has(right) != (right != RightOperator) || ofB.Has(right) != (right == RightEnd) {
			t.Errorf("%s: %v, %v", right, ofA.Rights, ofB.Rights)
		}
	}
	ofA.Rights[0] = RightOperator
	if again, _ := s.KeyNamed("a"); slices.Contains(again.Rights, RightOperator) {
		t.Error("a caller has given a key a right")
	}
	if ofA.Fingerprint == ofB.Fingerprint || len(ofA.Fingerprint) != 16 {
		t.Errorf("the fingerprints are %q and %q", ofA.Fingerprint, ofB.Fingerprint)
	}

	ctx := &requestContext{Context: t.Context()}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", http.NoBody)
	accepted, _ := s.serviceKey(string(b.Secret))
	accepted.note(r)
	if p := asProblem(t, need(r, RightEnd)); p.code != "" || mayDo(r, RightRead) {
		t.Errorf("%+v, %v", p, ctx.info.rights)
	}
	if p := asProblem(t, need(r, RightRead)); p.code != codeMissingRight || p.right != RightRead || p.detail != `It needs the right "read".` {
		t.Errorf("%+v", p)
	}
	other := key("c").Secret
	for name, test := range map[string]struct {
		keys []ServiceKey
		want bool
	}{
		"as it was":                    {[]ServiceKey{a, b}, true},
		"with one more right":          {[]ServiceKey{key("b", RightRead, RightEnd)}, true},
		"without the right":            {[]ServiceKey{a, key("b", RightRead)}, false},
		"gone":                         {[]ServiceKey{a}, false},
		"another secret":               {[]ServiceKey{{Name: "b", Secret: other, Rights: b.Rights}}, false},
		"the secret is another name's": {[]ServiceKey{{Name: "c", Secret: b.Secret, Rights: b.Rights}}, false},
	} {
		set(test.keys...)
		if got := s.stillMay(r, RightEnd); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
