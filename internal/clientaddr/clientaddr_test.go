package clientaddr_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/clientaddr"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"203.0.113.7":               "203.0.113.7",
		" 203.0.113.7 ":             "203.0.113.7",
		"203.0.113.7:51008":         "203.0.113.7", // Azure Application Gateway, IIS
		"2001:db8::7":               "2001:db8::7",
		"[2001:db8::7]":             "2001:db8::7",
		"[2001:db8::7]:51008":       "2001:db8::7", // AWS with the client's port preserved
		`"[2001:db8:cafe::17]:471"`: "2001:db8:cafe::17",
		"fe80::1%eth0":              "fe80::1",
		"[fe80::1%eth0]:443":        "fe80::1",
		"::ffff:203.0.113.7":        "203.0.113.7",
		"[::ffff:203.0.113.7]:80":   "203.0.113.7",
		"":                          "", "unknown": "", "_hidden": "", "203.0.113": "", "203.0.113.7.": "", "[": "", "[]": "", ":": "", "localhost:80": "", "\xff": "",
	} {
		ip, ok := clientaddr.Parse(text)
		if got := ip.String(); ok != (want != "") || ok && got != want {
			t.Errorf("%q is read as %s (%v), want %q", text, got, ok, want)
		}
		if again, plain, known := clientaddr.ParseText(text); plain != want || again != ip || known != ok {
			t.Errorf("%q is read as %v, %q (%v), want %q", text, again, plain, known, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`"[2001:db8::7%1]:80"`)
	f.Fuzz(func(t *testing.T, text string) {
		ip, ok := clientaddr.Parse(text)
		if ok != ip.IsValid() || ip.Zone() != "" || ip.Is4In6() {
			t.Errorf("%q: %v, %v", text, ip, ok)
		}
		if same, plain, known := clientaddr.ParseText(text); same != ip || known != ok || ok && plain != ip.String() {
			t.Errorf("%q: %v, %q, %v", text, same, plain, known)
		}
		if again, _ := clientaddr.Parse(ip.String()); ok && again != ip {
			t.Errorf("%v is read as %v", ip, again)
		}
	})
}
