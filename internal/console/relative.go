package console

import (
	"net/http"
	"strings"
)

// Where a page leads to is said relatively: the browser may know it below another path than
// this service does, which a proxy takes away.

// levelOf is how many levels below the first page the request is.
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

// relative is a path of ours from where up leads to the first page.
func relative(up, path string) string { return up + strings.TrimPrefix(path, root+"/") }

// redirect leads to a path of ours (RFC 9110 §10.2.2).
func redirect(w http.ResponseWriter, r *http.Request, path string) {
	w.Header().Set("Location", relative(upFrom(levelOf(r)), path))
	w.WriteHeader(http.StatusSeeOther)
}
