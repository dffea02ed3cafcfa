package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// fromEnvironment is the value of a setting that came from an environment variable.
type fromEnvironment struct{ variable, value string }

// decode passes a setting's text to set, which returns what is allowed if the text is not.
func decode(ctx *kong.DecodeContext, set func(text string) (may string)) error {
	return decodeSecret(ctx, func(text string) (is, may string) { return Quote(text), set(text) })
}

// oneOf is decode for a setting that is one of a few words, in any letter case.
func oneOf[T ~string](ctx *kong.DecodeContext, setting *T, words ...string) error {
	return decode(ctx, func(text string) string {
		i := slices.IndexFunc(words, func(word string) bool { return strings.EqualFold(word, text) })
		if i < 0 {
			return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
		}
		*setting = T(words[i])
		return ""
	})
}

// decodeList is decode for a comma-separated list, of which parse takes each item.
func decodeList[T any, L ~[]T](ctx *kong.DecodeContext, setting *L, may string, parse func(part string) (T, bool)) error {
	return decode(ctx, func(text string) string {
		var list L
		for part := range strings.SplitSeq(text, ",") {
			value, ok := parse(strings.TrimSpace(part))
			if !ok {
				return may
			}
			list = append(list, value)
		}
		*setting = list
		return ""
	})
}

// decodeUsable is decodeSecret for text that is either valid or not.
func decodeUsable[T ~string](ctx *kong.DecodeContext, setting *T, isUsable func(string) bool, is, may string) error {
	return decodeSecret(ctx, func(text string) (string, string) {
		if !isUsable(text) {
			return is, may
		}
		*setting = T(text)
		return "", ""
	})
}

// decodeSecret is decode for a setting whose value must not be shown: set also says what the
// setting is.
func decodeSecret(ctx *kong.DecodeContext, set func(text string) (is, may string)) error {
	token, err := ctx.Scan.PopValue(ctx.Value.Name)
	if err != nil {
		return err
	}
	name, text := "--"+ctx.Value.Name, fmt.Sprint(token.Value)
	if v, ok := token.Value.(fromEnvironment); ok {
		name, text = v.variable, v.value
	}
	if is, may := set(text); may != "" {
		return Wrong(name, is, may)
	}
	return nil
}
