package httpapi

import (
	"bytes"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// decodeDescribed is [decodeJSON] for a body with a member "client".
func decodeDescribed[T any](r *http.Request, limit int64) (T, error) {
	body, err := readJSON(r, limit)
	if err != nil {
		var zero T
		return zero, err
	}
	return parseDescribed[T](body)
}

// parseDescribed reads a body, even if the client's description is not valid text: backends
// pass on what clients send, which may be arbitrary bytes, and a truncated label may end in
// half a character.
func parseDescribed[T any](body []byte) (T, error) {
	parsed, err := parseJSON[T](body)
	if err == nil {
		return parsed, nil
	}
	if readable, found := withReadableClient(body); found {
		return parseJSON[T](readable)
	}
	return parsed, err
}

// withReadableClient replaces what is not a character in the member "client", if
// there is one, with the replacement character, and changes no other member.
func withReadableClient(body []byte) (readable []byte, found bool) {
	lenient := jsontext.AllowInvalidUTF8(true)
	decoder := jsontext.NewDecoder(bytes.NewReader(body), lenient)
	if token, err := decoder.ReadToken(); err != nil || token.Kind() != '{' {
		return nil, false
	}
	for decoder.PeekKind() == '"' {
		name, err := decoder.ReadToken()
		if err != nil {
			return nil, false
		}
		isClient := name.String() == "client"
		value, err := decoder.ReadValue()
		if err != nil {
			return nil, false
		}
		if !isClient {
			continue
		}
		client, err := jsontext.AppendFormat(nil, value, lenient)
		end := decoder.InputOffset()
		return slices.Concat(body[:end-int64(len(value))], client, body[end:]), err == nil
	}
	return nil, false
}
