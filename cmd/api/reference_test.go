package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
)

var (
	// inCode are the words of a help text that Markdown sets as code.
	inCode = regexp.MustCompile(`LATCHKEY_[A-Z_]+|\bapi( [a-z]+)+\b|\b(true|false|iss|aud|client_id|signingKey|end_oldest|stdout|EdDSA|[EPRH]S256|X-Forwarded-For)\b|/readyz|whsec_|name:secret[a-z:+]*`)
	// duration is a value such as 24h, which applies without a default of the flag's own.
	duration = regexp.MustCompile(`^\d+[smh]$`)
)

// Everything in docs/settings.md below its introduction is made from the declarations in package settings. With -update it
// is rewritten.
func TestSettingsReference(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "docs", "settings.md")
	text := readFile(t, path)
	introduction, _, found := strings.Cut(text, "\n## ")
	if !found {
		t.Fatalf("%s has no section", path)
	}
	want := introduction + reference()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, text); diff != "" {
		t.Errorf("make settings regenerates %s (-generated +file):\n%s", path, diff)
	}
}

// reference has a table for each group of settings.
func reference() string {
	rows := map[string]string{}
	collect(reflect.TypeFor[settings.Serve](), rows)
	var b strings.Builder
	for _, group := range settings.Groups {
		fmt.Fprintf(&b, "\n## %s\n\n| setting | default | |\n| --- | --- | --- |\n%s", strings.TrimSuffix(group.Title, ":"), rows[group.Key])
	}
	return b.String()
}

// collect adds the rows of a struct's settings, by their groups.
func collect(of reflect.Type, rows map[string]string) {
	for field := range of.Fields() {
		switch name := field.Tag.Get("name"); {
		case field.Anonymous:
			collect(field.Type, rows)
		case name != "":
			rows[field.Tag.Get("group")] += row(name, field.Tag)
		}
	}
}

func row(name string, tag reflect.StructTag) string {
	usual := markdown(tag.Get("unset"))
	if value := tag.Get("default"); value != "" {
		usual = "`" + value + "`"
	} else if duration.MatchString(usual) {
		usual = "`" + usual + "`"
	}
	variable := "LATCHKEY_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	text := markdown(tag.Get("help"))
	if _, secret := tag.Lookup("secret"); secret {
		text += " Or in a file: `" + variable + "_FILE`."
	}
	if more := tag.Get("docs"); more != "" {
		text += " " + more
	}
	return fmt.Sprintf("| `%s` | %s | %s |\n", variable, usual, text)
}

// markdown is a help text with its variables and commands as code.
func markdown(help string) string {
	return inCode.ReplaceAllString(strings.NewReplacer("${program}", "api", "=true", "true", "=false", "false").Replace(help), "`$0`")
}
