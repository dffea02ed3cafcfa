package httpapi

import (
	"net/http"
	"net/url"
)

const (
	formType     = "application/x-www-form-urlencoded"
	maxFormBytes = 16 << 10
)

// decodeForm returns the named fields of a form. Others are ignored, even if
// they are repeated (RFC 6749 §3.2: unrecognized parameters are); a named one
// that is there twice is refused. An empty field counts as absent.
func decodeForm(w http.ResponseWriter, r *http.Request, names ...string) (map[string]string, error) {
	values, err := readForm(w, r)
	if err != nil {
		return nil, err
	}
	return fieldsOf(values, names...)
}

func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	body, err := readBody(w, r, formType, maxFormBytes)
	if err != nil {
		return nil, err
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &problem{code: codeMalformedBody, detail: "It is not a well-formed form."}
	}
	return values, nil
}

// fieldsOf are the named fields, of which each may be there once.
func fieldsOf(values url.Values, names ...string) (map[string]string, error) {
	fields := make(map[string]string, len(names))
	for _, name := range names {
		if len(values[name]) > 1 {
			return nil, &problem{code: codeDuplicateParameter, parameter: name}
		}
		fields[name] = values.Get(name)
	}
	return fields, nil
}

// requiredField says of a field that is empty that it is missing.
func requiredField(fields map[string]string, name string) (string, error) {
	if fields[name] == "" {
		return "", invalidParameter(name, "It is missing.")
	}
	return fields[name], nil
}
