package docs_test

import (
	"encoding/json"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module is what the import paths of our packages begin with.
const module = "github.com/latchkey-sessions/latchkey/"

// public returns the packages that other programs import, by their folders.
func public(t *testing.T) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-f", `{{if and .GoFiles (ne .Name "main")}}{{.ImportPath}}{{end}}`, "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for path := range strings.FieldsSeq(string(out)) {
		if !strings.Contains(path+"/", "/internal/") {
			names = append(names, strings.TrimPrefix(path, module))
		}
	}
	return names
}

// program returns what the package's comment begins with after its first paragraphs: a program,
// or a test; empty if that is something else.
func program(t *testing.T, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", name, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range new(comment.Parser).Parse(file.Doc.Text()).Content {
			if code, ok := block.(*comment.Code); ok {
				if isMain, isTest := strings.HasPrefix(code.Text, "package main\n"), strings.Contains(code.Text, "\nfunc Test"); !isMain && !isTest {
					return ""
				}
				return code.Text
			}
		}
	}
	return ""
}

// A package's documentation begins with a program, which compiles when it is pasted.
func TestProgramsOfPackageCommentsCompile(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	names := public(t)
	if !slices.Contains(names, "sessionstore") || !slices.Contains(names, "sessiontest") {
		t.Fatalf("go list finds %q", names)
	}
	// The programs are laid over the module, in folders that it does not have.
	replace := map[string]string{}
	folder, args := t.TempDir(), []string{"list", "-export", "-overlay", ""}
	for _, name := range names {
		text := program(t, name)
		if text == "" {
			t.Errorf("the comment of package %s does not begin with a program", name)
			continue
		}
		file := filepath.Join(folder, strings.ReplaceAll(name, "/", "_")+".go")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		pasted := "pasted/" + name
		replace[filepath.Join(root, pasted, "main.go")] = file
		args = append(args, "./"+pasted)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	args[3] = filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(args[3], text, 0o600); err != nil {
		t.Fatal(err)
	}
	compile := exec.CommandContext(t.Context(), "go", args...) // to list what is exported, it is compiled, but not linked
	compile.Dir = root
	if out, err := compile.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
