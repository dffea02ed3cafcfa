package httpapi

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// checkQuery refuses every query parameter that is unknown to the route, empty or
// repeated: a misspelt filter must not select everything.
func checkQuery(r *http.Request, known []string) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return &problem{code: codeInvalidParameter, detail: "The query string is not well-formed."}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name][0]
		switch {
		case isCredential(name):
			return credentialInQuery(name)
		case !slices.Contains(known, name):
			return &problem{code: codeUnknownParameter, parameter: cut(strings.ToValidUTF8(name, "�"))}
		case len(values[name]) > 1:
			return &problem{code: codeDuplicateParameter, parameter: name}
		case value == "":
			return invalidParameter(name, "It is empty.")
		case !utf8.ValidString(value):
			return invalidParameter(name, "It is not valid UTF-8.")
		}
	}
	return nil
}

// checkForCredentials refuses credentials in a query that is otherwise ignored, well-formed
// or not.
func checkForCredentials(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	values, _ := url.ParseQuery(r.URL.RawQuery)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if isCredential(name) {
			return credentialInQuery(name)
		}
	}
	return nil
}

func credentialInQuery(name string) error { // RFC 9700 §4.3.2
	return &problem{code: codeTokenInQuery, parameter: name, detail: "Send it in the Authorization header or in the body."}
}

func isCredential(name string) bool {
	switch name {
	case "access_token", "refresh_token", "token", "client_secret":
		return true
	}
	return false
}
