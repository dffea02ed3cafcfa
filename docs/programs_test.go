package docs_test

import (
	"encoding/json"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programs returns the programs in the package comments, each with its package's folder.
func programs(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	if err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "var" || strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 2):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		for _, block := range new(comment.Parser).Parse(file.Doc.Text()).Content {
			if code, ok := block.(*comment.Code); ok && strings.HasPrefix(code.Text, "package main\n") {
				found[strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../")] = code.Text
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return found
}

// What go doc says of a package begins with a program, which compiles when it is pasted.
func TestProgramsOfPackageCommentsCompile(t *testing.T) {
	t.Parallel()
	found := programs(t)
	for _, name := range []string{
		"audit", "cleanup", "dataseal", "dpop", "httpapi", "keystore", "migrations", "protectedresource", "sessionhttp", "sessionstore", "tokens", "verifier",
	} {
		if found[name] == "" {
			t.Errorf("the comment of package %s has no program", name)
		}
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	// The programs are laid over the module, in folders that it does not have.
	replace := map[string]string{}
	folder, args := t.TempDir(), []string{"list", "-export", "-overlay", ""}
	for name, program := range found {
		file := filepath.Join(folder, strings.ReplaceAll(name, "/", "_")+".go")
		if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
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
