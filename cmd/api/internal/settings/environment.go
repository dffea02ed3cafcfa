package settings

import (
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/internal/secretfile"
)

// prefix begins each variable, so that a misspelt one can be distinguished from another
// program's.
const prefix = "LATCHKEY_"

// Kubernetes gives a container variables for each service of its namespace, such as one called latchkey or
// latchkey-something. Some of their names, such as LATCHKEY_PUBLIC_PORT, could be meant for a setting: their values show
// which it is.
var (
	clusterVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)_(PROTO|PORT|ADDR))$`)
	clusterPort     = regexp.MustCompile(`_PORT(_\d+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://`)
)

func isOfCluster(name, value string) bool {
	return clusterVariable.MatchString(name) || clusterPort.MatchString(name+"="+value)
}

// Environment resolves settings from the environment. kong's own env tag is not used: its errors print the
// value, which may be a secret, and it takes an empty variable for a value, which is how
// docker compose passes an unset one.
type Environment struct {
	variables map[string]string
	renamed   []string
	files     []string
}

// NewEnvironment takes variables as [os.Environ] returns them.
func NewEnvironment(environ []string) *Environment {
	e := &Environment{variables: map[string]string{}}
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			e.variables[name] = value
		}
	}
	return e
}

// Lookup is [os.LookupEnv], for variables that are not Latchkey's. An empty one counts as unset.
func (e *Environment) Lookup(name string) (string, bool) {
	value, found := e.variables[name]
	return value, found
}

// Renamed lists the variables without prefix that were read, each with its new name.
func (e *Environment) Renamed() []string { return e.renamed }

// Validate accepts every command line.
func (e *Environment) Validate(*kong.Application) error { return nil }

// Resolve looks up a setting that the selected command has and its command line does not give.
func (e *Environment) Resolve(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if !isSetting(flag) {
		return nil, nil
	}
	if err := e.checkNames(ctx.Model); err != nil {
		return nil, err
	}
	found, err := e.find(flag)
	if err == nil && isQuoted(found.value) {
		err = WrongTogether(found.variable + " is in quotation marks, which are a part of its value here: leave them out (docker run --env-file and kubectl --from-env-file keep them)")
	}
	if err == nil && flag.Tag.Has("secret") {
		found, err = e.orFile(flag, found)
	}
	if err != nil || found.value == "" {
		return nil, err
	}
	if name := variable(flag.Name); found.variable == strings.TrimPrefix(name, prefix) {
		e.renamed = append(e.renamed, found.variable+" to "+name)
	}
	return found, nil
}

// isQuoted recognizes a value in shell quotation marks. No setting is meant to have them: they would change a name, and
// make a secret differ from everyone else's.
func isQuoted(value string) bool {
	return len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[0] == value[len(value)-1]
}

// find returns a variable with its value, or no value.
func (e *Environment) find(flag *kong.Flag) (fromEnvironment, error) {
	name := variable(flag.Name)
	old := strings.TrimPrefix(name, prefix)
	value, oldValue := e.variables[name], e.variables[old]
	switch {
	case value == "":
		return fromEnvironment{old, oldValue}, nil
	case oldValue != "" && oldValue != value:
		return fromEnvironment{}, WrongTogether(old + " and " + name + " are both set, and differ: " + old + " is the old name of " + name + ", and only one of them may be set")
	}
	return fromEnvironment{name, value}, nil
}

// orFile returns a secret from the file that its variable with _FILE names, if there is one.
func (e *Environment) orFile(flag *kong.Flag, found fromEnvironment) (fromEnvironment, error) {
	name := fileVariable(flag)
	switch {
	case e.variables[name] == "":
		return found, nil
	case found.value != "":
		return found, WrongTogether(found.variable + " and " + name + " are both set; only one of them may be")
	}
	e.files = append(e.files, e.variables[name])
	value, err := e.readFile(name)
	switch {
	case err != nil:
		return found, WrongTogether(err.Error())
	case value == "":
		return found, Wrong(name, "a file without content", "one that holds what "+variable(flag.Name)+" would")
	}
	return fromEnvironment{name, value}, nil
}

func (e *Environment) readFile(variable string) (string, error) {
	content, err := secretfile.Read(e.variables[variable])
	if err != nil {
		return "", fmt.Errorf("%s: %w", variable, err)
	}
	return strings.TrimSpace(string(content)), nil
}

// Again returns a function that rereads a secret from its file, or nil if it did not come from a file. The
// variable is that of the secret itself.
func (e *Environment) Again(variable string) func() (string, error) {
	file := variable + fileSuffix
	if e.variables[file] == "" {
		return nil
	}
	return func() (string, error) { return e.readFile(file) }
}

// SecretFiles are the files that secrets were read from.
func (e *Environment) SecretFiles() []string { return e.files }

// checkNames refuses a variable that is meant for a setting but belongs to no command.
func (e *Environment) checkNames(app *kong.Application) error {
	var known []string
	for flag := range flags(app.Node) {
		known = append(known, variable(flag.Name))
		if flag.Tag.Has("secret") {
			known = append(known, fileVariable(flag))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.variables)) {
		if isMeant(name, known) && !slices.Contains(known, name) && !isOfCluster(name, e.variables[name]) {
			return WrongTogether(name + " is not a setting: did you mean " + nearest(strings.ToUpper(name), known) + "?")
		}
	}
	return nil
}

// isMeant reports whether a variable is meant for this program: it begins with their prefix, in upper or lower case, or
// differs only by a few letters of the prefix, such as LATCHKY_ISSUER. A variable without the prefix may be another
// program's.
func isMeant(name string, known []string) bool {
	name = strings.ToUpper(name)
	return strings.HasPrefix(name, prefix) || slices.ContainsFunc(known, func(setting string) bool {
		begins, is := strings.CutSuffix(name, strings.TrimPrefix(setting, prefix))
		return is && distance(begins, prefix) <= misspelt
	})
}

// flags are the settings of a command and of those below it. One that several commands have is returned several
// times.
func flags(node *kong.Node) iter.Seq[*kong.Flag] {
	return func(yield func(*kong.Flag) bool) {
		for _, leaf := range node.Leaves(false) {
			for _, flag := range leaf.Flags {
				if isSetting(flag) && !yield(flag) {
					return
				}
			}
		}
	}
}

// variable is the environment variable of a flag.
func variable(flag string) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fileSuffix makes the variable that names a file of the one that holds a secret.
const fileSuffix = "_FILE"

func fileVariable(flag *kong.Flag) string { return variable(flag.Name) + fileSuffix }

// isSetting distinguishes settings from flags that make sense only on a command line, such as --json.
func isSetting(flag *kong.Flag) bool { return flag.Group != nil }
