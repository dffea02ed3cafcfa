package shards

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// claimedSession is the session that a token claims to belong to, which is not verified: it serves only to choose the
// store that verifies the token. A token that we signed is sent to its shard, whatever others make of one that we did
// not.
func claimedSession(token string) (uuid.UUID, bool) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return uuid.Nil, false
	}
	d := jsontext.NewDecoder(bytes.NewReader(text))
	if begin, err := d.ReadToken(); err != nil || begin.Kind() != '{' {
		return uuid.Nil, false
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return uuid.Nil, false
		}
		if name.String() != "sid" {
			if err := d.SkipValue(); err != nil {
				return uuid.Nil, false
			}
			continue
		}
		value, err := d.ReadToken()
		if err != nil || value.Kind() != '"' {
			return uuid.Nil, false
		}
		id, err := uuid.Parse(value.String())
		return id, err == nil
	}
	return uuid.Nil, false
}
