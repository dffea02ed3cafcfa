package console

import (
	"net/http"
	"strings"
)

// Links are relative: the browser may see the page below a prefix that a proxy strips.

// levelOf returns how many levels below the first page the request is.
func levelOf(r *http.Request) int {
	return strings.Count(strings.TrimPrefix(r.URL.EscapedPath(), root+"/"), "/")
}

// upFrom leads from a level to the first page.
func upFrom(level int) string {
	if level == 0 {
		return "./"
	}
	return strings.Repeat("../", level)
}

// relative returns one of our paths, as seen from where up leads to the first page.
func relative(up, path string) string { return up + strings.TrimPrefix(path, root+"/") }

// redirect redirects to one of our paths (RFC 9110 §10.2.2).
func redirect(w http.ResponseWriter, r *http.Request, path string) {
	w.Header().Set("Location", relative(upFrom(levelOf(r)), path))
	w.WriteHeader(http.StatusSeeOther)
}
