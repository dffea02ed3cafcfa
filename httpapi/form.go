package httpapi

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

const (
	formType     = "application/x-www-form-urlencoded"
	maxFormBytes = 16 << 10
	// usualFields is how many fields most forms have at most.
	usualFields = 8
)

// decodeForm returns the named fields of a form. Others are ignored, even if they are repeated
// (RFC 6749 §3.2: unrecognized parameters are); a repeated named one is refused. An empty field
// counts as absent.
func decodeForm(r *http.Request, names ...string) (formFields, error) {
	fields, err := readForm(r)
	if err != nil {
		return nil, err
	}
	if err := fields.checkNamed(names); err != nil {
		return nil, err
	}
	return fields, nil
}

func readForm(r *http.Request) (formFields, error) {
	body, err := readFormText(r)
	if err != nil {
		return nil, err
	}
	fields, err := parseForm(body)
	if err != nil {
		return nil, &problem{code: codeMalformedBody, detail: "It is not a well-formed form."}
	}
	return fields, nil
}

// readFormText returns the body of a request if its media type is that of a form, as a string
// of which there is no other copy.
func readFormText(r *http.Request) (string, error) {
	if err := checkBody(r.Header, formType); err != nil {
		return "", err
	}
	room, _ := bodyRooms.Get().(*[]byte)
	defer bodyRooms.Put(room)
	body, err := readAll(r.Body, (*room)[:0], maxFormBytes)
	if err != nil {
		return "", refusedBody(err)
	}
	return string(body), nil
}

var bodyRooms = sync.Pool{New: func() any { return new(make([]byte, 0, usualBodyBytes)) }}

var errSemicolon = errors.New("a semicolon between fields")

// formFields are those of a form in its order.
type formFields []formField

type formField struct{ name, value string }

// parseForm reads what [url.ParseQuery] does, and refuses what that does, without a map: a form
// has a handful of fields.
func parseForm(text string) (formFields, error) {
	fields := make(formFields, 0, usualFields)
	for field := range strings.SplitSeq(text, "&") {
		if field == "" {
			continue
		}
		if strings.Contains(field, ";") {
			return nil, errSemicolon
		}
		name, value, _ := strings.Cut(field, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return nil, err
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, err
		}
		fields = append(fields, formField{name, value})
	}
	return fields, nil
}

// get returns the first field of the name, empty for none.
func (f formFields) get(name string) string {
	for _, field := range f {
		if field.name == name {
			return field.value
		}
	}
	return ""
}

// all returns the values of every field of the name.
func (f formFields) all(name string) (values []string) {
	for _, field := range f {
		if field.name == name {
			values = append(values, field.value)
		}
	}
	return values
}

// isRepeated reports whether there is more than one field of the name.
func (f formFields) isRepeated(name string) bool {
	n := 0
	for _, field := range f {
		if field.name == name {
			n++
		}
	}
	return n > 1
}

// checkNamed refuses a form in which one of the names is repeated.
func (f formFields) checkNamed(names []string) error {
	for _, name := range names {
		if f.isRepeated(name) {
			return &problem{code: codeDuplicateParameter, parameter: name}
		}
	}
	return nil
}

// requiredField treats an empty field as missing.
func requiredField(fields formFields, name string) (string, error) {
	value := fields.get(name)
	if value == "" {
		return "", invalidParameter(name, "It is missing.")
	}
	return value, nil
}
