package tokens

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

func appendString(b []byte, s string) []byte {
	// Its only error is invalid UTF-8, which it has already replaced.
	quoted, _ := jsontext.AppendQuote(b, s)
	return quoted
}

// decodeSegment accepts only one spelling: without Strict, and with the
// line breaks that Go's decoder skips, there would be others.
func decodeSegment(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, errors.New("line break")
	}
	return base64.RawURLEncoding.Strict().DecodeString(s)
}
