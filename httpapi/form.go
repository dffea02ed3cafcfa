package httpapi

import (
	"net/http"
	"net/url"
)

const (
	formType     = "application/x-www-form-urlencoded"
	maxFormBytes = 16 << 10
)

// decodeForm returns the named fields of a form. Others are ignored, even if they are repeated
// (RFC 6749 §3.2: unrecognized parameters are); a repeated named one is refused. An empty field
// counts as absent.
func decodeForm(w http.ResponseWriter, r *http.Request, names ...string) (formFields, error) {
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

// formFields are the fields of a form; each known one occurs at most once.
type formFields url.Values

func (f formFields) get(name string) string { return url.Values(f).Get(name) }

// fieldsOf returns the fields of a form; the named ones may occur only once.
func fieldsOf(values url.Values, names ...string) (formFields, error) {
	for _, name := range names {
		if len(values[name]) > 1 {
			return nil, &problem{code: codeDuplicateParameter, parameter: name}
		}
	}
	return formFields(values), nil
}

// requiredField treats an empty field as missing.
func requiredField(fields formFields, name string) (string, error) {
	value := fields.get(name)
	if value == "" {
		return "", invalidParameter(name, "It is missing.")
	}
	return value, nil
}
