package dpop

import (
	"fmt"
	"strings"
	"testing"
)

// All 256 escapes, in upper and in lower case: decoded where RFC 3986 §2.3 says that
// the character means the same without one, and written in upper case elsewhere.
func TestEscapes(t *testing.T) {
	t.Parallel()
	const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	for c := range 256 {
		want := fmt.Sprintf("%%%02X", c)
		if strings.Contains(unreserved, string(rune(c))) {
			want = string(rune(c))
		}
		for _, escape := range []string{fmt.Sprintf("%%%02X", c), fmt.Sprintf("%%%02x", c)} {
			for _, frame := range []string{"/a%sb", "/x%s", "/x%[1]sy%[1]s"} {
				got, err := normalize("https://example.com" + fmt.Sprintf(frame, escape))
				if want := "https://example.com" + fmt.Sprintf(frame, want); err != nil || got != want {
					t.Errorf(frame+" is %s (%v), want %s", escape, got, err, want)
				}
			}
		}
	}
}

// withoutDots is RFC 3986 §5.2.4 to the letter, for a path that starts with a slash.
func withoutDots(in string) (out string) {
	up := func() { out = out[:max(0, strings.LastIndexByte(out, '/'))] }
	for in != "" {
		switch {
		case strings.HasPrefix(in, "/./"):
			in = in[2:]
		case in == "/.":
			in = "/"
		case strings.HasPrefix(in, "/../"):
			in = in[3:]
			up()
		case in == "/..":
			in = "/"
			up()
		default:
			end := strings.IndexByte(in[1:], '/') + 1
			if end == 0 {
				end = len(in)
			}
			out, in = out+in[:end], in[end:]
		}
	}
	return out
}

// All paths of up to nine characters that are slashes, dots and letters.
func TestDotSegments(t *testing.T) {
	t.Parallel()
	var try func(path string, more int)
	try = func(path string, more int) {
		if got, want := removeDotSegments(path), withoutDots(path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
		if more > 0 {
			for _, c := range []string{"/", ".", "a"} {
				try(path+c, more-1)
			}
		}
	}
	try("/", 8)
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	long := "https://example.com/" + strings.Repeat("a", maxURLBytes-len("https://example.com/"))
	for raw, want := range map[string]string{
		"https://example.com":            "https://example.com/",
		"https://example.com:":           "https://example.com/",
		"https://example.com:443":        "https://example.com/",
		"https://example.com:80/":        "https://example.com:80/",
		"https://example.com:8443/a":     "https://example.com:8443/a",
		"http://example.com:80/":         "http://example.com/",
		"http://example.com:443/":        "http://example.com:443/",
		"http://example.com:8080/":       "http://example.com:8080/",
		"HTTP://EXAMPLE.com/A":           "http://example.com/A",
		"https://[2001:DB8::0:1]:444/":   "https://[2001:db8::1]:444/",
		"https://[::ffff:192.0.2.1]/":    "https://[::ffff:192.0.2.1]/",
		"https://192.0.2.1:443/":         "https://192.0.2.1/",
		"https://example.com/a?b=/../c":  "https://example.com/a",
		"https://example.com/a#/../c":    "https://example.com/a",
		"https://example.com/%2e%2E/a":   "https://example.com/a",
		"https://example.com/a/%2e":      "https://example.com/a/",
		"https://example.com/a%2Fb":      "https://example.com/a%2Fb",
		"https://example.com/a%2f..%2fb": "https://example.com/a%2F..%2Fb",
		long:                             long,
		// no URL of a request
		long + "a":                     "",
		"":                             "",
		"/a":                           "",
		"//example.com/a":              "",
		"example.com/a":                "",
		"ftp://example.com/":           "",
		"https:///a":                   "",
		"https://:443/a":               "",
		"https:example.com":            "",
		"https://user@example.com/":    "",
		"https://user:pw@example.com/": "",
		"https://[fe80::1%25eth0]/":    "",
		"https://[2001:db8::g]/":       "",
		"https://[2001:db8]/":          "",
		"https://[a:b]:443/":           "",
		"https://example.com/%":        "",
		"https://example.com/%4":       "",
		"https://example.com/%zz":      "",
		"https://example.com:x/":       "",
		"https://example .com/":        "",
		"https://example.com/\n":       "",
	} {
		got, err := normalize(raw)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%.60q is %.60q (%v), want %.60q", raw, got, err, want)
		}
	}
}
