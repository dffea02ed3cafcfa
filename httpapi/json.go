package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	jsonType = "application/json"
	// maxEnvelopeBytes leaves room for everything around the data in a body.
	maxEnvelopeBytes = 16 << 10
)

var errNull = errors.New("null")

// strict refuses unknown members, and null except in a client's description: a
// member without a value must be absent. The decoder itself refuses duplicate
// names, invalid UTF-8 and trailing data.
var strict = json.JoinOptions(
	json.RejectUnknownMembers(true),
	json.WithUnmarshalers(json.UnmarshalFromFunc(func(d *jsontext.Decoder, to any) error {
		switch to.(type) {
		case *newClient, *clientPatch, *described, **described:
		default:
			if d.PeekKind() == 'n' {
				return errNull
			}
		}
		return errors.ErrUnsupported // continue as if this function were not there
	})),
)

// readJSON returns the body of a request if its media type is that of JSON and it has no more
// than limit bytes.
func readJSON(r *http.Request, limit int64) ([]byte, error) {
	if err := checkBody(r.Header, jsonType); err != nil {
		return nil, err
	}
	room := min(max(r.ContentLength, 0), usualBodyBytes) + 1 // so that the end is seen without more of it
	body, err := readAll(r.Body, make([]byte, 0, room), limit)
	return body, refusedBody(err)
}

// decodeJSON reads the body into T. An error has a JSON pointer to the member, and
// never the member's value.
func decodeJSON[T any](r *http.Request, limit int64) (T, error) {
	body, err := readJSON(r, limit)
	if err != nil {
		var zero T
		return zero, err
	}
	return parseJSON[T](body)
}

func parseJSON[T any](body []byte) (T, error) {
	var v T
	if !utf8.Valid(body) {
		return v, &problem{code: codeMalformedBody, detail: "It is not valid UTF-8."}
	}
	if err := json.Unmarshal(body, &v, strict); err != nil {
		var zero T
		return zero, jsonProblem(err)
	}
	return v, nil
}

func jsonProblem(err error) error {
	if e, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		if errors.Is(e, jsontext.ErrDuplicateName) {
			return &problem{code: codeDuplicateMember, pointer: cut(string(e.JSONPointer))}
		}
		return &problem{
			code: codeMalformedBody, pointer: cut(string(e.JSONPointer)),
			detail: fmt.Sprintf("It is not one valid JSON text: see byte %d.", e.ByteOffset),
		}
	}
	if e, ok := errors.AsType[*json.SemanticError](err); ok {
		if errors.Is(e, json.ErrUnknownName) {
			return &problem{code: codeUnknownMember, pointer: cut(string(e.JSONPointer))}
		}
		if errors.Is(e, errNull) {
			return invalidMember(string(e.JSONPointer), "It is null. Leave out what has no value.")
		}
		if errors.Is(e, strconv.ErrRange) {
			return invalidMember(string(e.JSONPointer), "It must be a whole number that fits into 64 bits.")
		}
		return invalidMember(string(e.JSONPointer), "It must be "+wanted(e.GoType)+".")
	}
	return &problem{code: codeMalformedBody, detail: "It is not one valid JSON text."}
}

// wanted names the type that the description specifies for a member.
func wanted(t reflect.Type) string {
	switch {
	case t == nil:
		return "of another type"
	case t.Kind() == reflect.String:
		return "a string"
	case t.Kind() == reflect.Int64:
		return "a whole number"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Int64:
		return "an array of whole numbers"
	case t.Kind() == reflect.Slice:
		return "an array of strings"
	default:
		return "an object"
	}
}
