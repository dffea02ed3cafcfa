package settings

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// fromEnvironment is the value of a setting that came from its environment variable.
type fromEnvironment string

// Environment resolves settings from the environment. kong's own env tag is not used: its errors print the
// value, which may be a secret, and it takes a variable that is set to nothing for a value, which is how
// docker compose passes an unset one.
func Environment(lookup func(string) (string, bool)) kong.ResolverFunc {
	return func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if !isSetting(flag) {
			return nil, nil
		}
		if value, _ := lookup(variable(flag.Name)); value != "" {
			return fromEnvironment(value), nil
		}
		return nil, nil
	}
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// isSetting tells settings from the flags that only mean something on a command line, such as --json.
func isSetting(flag *kong.Flag) bool { return flag.Group != nil }

// decode hands a setting's text to set, which answers with what the setting may be if it is not that.
func decode(ctx *kong.DecodeContext, set func(text string) (may string)) error {
	return decodeSecret(ctx, func(text string) (is, may string) { return Quote(text), set(text) })
}

// oneOf is decode for a setting that is one of a few words.
func oneOf[T ~string](ctx *kong.DecodeContext, setting *T, words ...string) error {
	return decode(ctx, func(text string) string {
		if !slices.Contains(words, text) {
			return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
		}
		*setting = T(text)
		return ""
	})
}

// decodeSecret is decode for a setting whose value must not be shown: set says what it is, too.
func decodeSecret(ctx *kong.DecodeContext, set func(text string) (is, may string)) error {
	token, err := ctx.Scan.PopValue(ctx.Value.Name)
	if err != nil {
		return err
	}
	name := "--" + ctx.Value.Name
	if _, ok := token.Value.(fromEnvironment); ok {
		name = variable(ctx.Value.Name)
	}
	if is, may := set(fmt.Sprint(token.Value)); may != "" {
		return Wrong(name, is, may)
	}
	return nil
}
