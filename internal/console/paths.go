package console

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// root is the path of the page.
const root = "/console"

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

// below puts a pattern below the page's root.
func below(pattern string) string {
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		return root + pattern
	}
	return method + " " + root + path
}

func sessionPath(id uuid.UUID) string { return root + "/sessions/" + id.String() }

func idOf(r *http.Request) (uuid.UUID, error) {
	id, err := uuid.Parse(r.PathValue("id"))
	if err != nil {
		return uuid.Nil, sessionstore.ErrNotFound
	}
	return id, nil
}

func subjectPath(subject string) string {
	return root + "/subject?" + url.Values{"id": {subject}}.Encode()
}

func endSubjectPath(subject string) string {
	return root + "/subject/end?" + url.Values{"id": {subject}}.Encode()
}

// ownPath returns a path of the page, and the first page for any path that is not one.
func ownPath(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host != "" || u.Scheme != "" || !strings.HasPrefix(text, root+"/") || path.Clean(u.Path) != strings.TrimSuffix(u.Path, "/") {
		return root + "/"
	}
	return u.RequestURI()
}
