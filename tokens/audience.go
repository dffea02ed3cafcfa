package tokens

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Audience is the canonical form that [Claims] and [Config] use for the audiences of a
// token: a single name unchanged, several as a JSON array (RFC 7519 §4.1.3).
func Audience(names ...string) string {
	if len(names) == 1 {
		return names[0]
	}
	list := []byte{'['}
	for i, name := range names {
		if i > 0 {
			list = append(list, ',')
		}
		list = appendString(list, name)
	}
	return string(append(list, ']'))
}

// Audiences returns the names in a form that [Audience] made.
func Audiences(form string) []string {
	if !isAudienceList(form) {
		return []string{form}
	}
	var names []string
	if json.Unmarshal([]byte(form), &names) != nil {
		return []string{form}
	}
	return names
}

// isAudienceList distinguishes a form of several names from a single name, which must not
// look like one.
func isAudienceList(form string) bool {
	return strings.HasPrefix(form, `["`) && strings.HasSuffix(form, `"]`)
}

// checkAudience refuses a form with names that must not be signed: a token
// endpoint's would let one kind of token pass for the other.
func checkAudience(form, tokenEndpoint string) error {
	names := Audiences(form)
	switch {
	case slices.Contains(names, "") || slices.Contains(names, tokenEndpoint):
		return errors.New("tokens: Audience and AcceptedAudiences must differ from TokenEndpoint, or one kind of token could pass for the other, and must not be empty")
	case Audience(names...) != form || len(names) == 1 && isAudienceList(form) || hasTwice(names):
		return errors.New("tokens: Audience must be what tokens.Audience returns for different names, none of which looks like a list")
	}
	return nil
}

func hasTwice(names []string) bool {
	sorted := slices.Sorted(slices.Values(names))
	return len(slices.Compact(sorted)) < len(names)
}

// wireAudience is the aud of one of our tokens in the form of [Audience]: a string, or
// a list of two or more strings.
type wireAudience string

var errAudience = errors.New("aud")

// UnmarshalJSONFrom refuses anything else.
func (a *wireAudience) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '[' {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if token.Kind() != '"' || isAudienceList(name) {
			return errAudience
		}
		*a = wireAudience(name)
		return nil
	}
	var names []any
	if err := json.UnmarshalDecode(d, &names); err != nil {
		return err
	}
	texts := make([]string, len(names))
	for i, name := range names {
		text, isText := name.(string)
		if !isText {
			return errAudience
		}
		texts[i] = text
	}
	if len(texts) < 2 || slices.Contains(texts, "") || hasTwice(texts) {
		return errAudience
	}
	*a = wireAudience(Audience(texts...))
	return nil
}
