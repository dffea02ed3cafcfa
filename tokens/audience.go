package tokens

import (
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Audience is the one form in which [Claims] and [Config] have the audiences of a token:
// a single name as it is, several as a JSON array (RFC 7519 §4.1.3).
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

// Audiences are the names of a form of [Audience].
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

// isAudienceList tells a form of several names from a single one, which must not look so.
func isAudienceList(form string) bool {
	return strings.HasPrefix(form, `["`) && strings.HasSuffix(form, `"]`)
}

// checkAudience refuses a form whose names are not ours to sign: one that is a token
// endpoint would let one kind of token pass for the other.
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

// wireAudience is the aud of a token of ours in the form of [Audience]: a string, or a
// list of two or more strings.
type wireAudience string

var errAudience = errors.New("aud")

// UnmarshalJSONFrom refuses what is neither.
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
