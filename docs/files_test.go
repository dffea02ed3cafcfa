package docs_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Within a package references go one way, so that a request goes down through the files and comes up once: no file refers
// to one that refers to it, directly or through others. See docs/architecture.md.
func TestFilesReferOneWay(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"sessionstore", "internal/refresh", "internal/compas", "internal/groupcommit", "internal/canonical"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refersTo := references(t, filepath.Join("..", name))
			if len(refersTo) == 0 && name == "sessionstore" {
				t.Fatal("no references were found")
			}
			for len(refersTo) > 0 {
				isBottom := func(file string) bool { return len(refersTo[file]) == 0 }
				bottom := slices.Collect(maps.Keys(refersTo))
				if bottom = slices.DeleteFunc(bottom, func(file string) bool { return !isBottom(file) }); len(bottom) == 0 {
					t.Fatalf("these files refer to each other, or to files that do: %v", refersTo)
				}
				for _, file := range bottom {
					delete(refersTo, file)
					for _, to := range refersTo {
						delete(to, file)
					}
				}
			}
		})
	}
}

// references are those between the files of the package in a folder, with what they refer to.
func references(t *testing.T, folder string) map[string]map[string][]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".")
	list.Dir = folder
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, export, _ := strings.Cut(strings.TrimSpace(line), " ")
		exports[path] = export
	}
	set := token.NewFileSet()
	var files []*ast.File
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	refersTo := map[string]map[string][]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		refersTo[filepath.Base(name)] = map[string][]string{}
	}
	imports := importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	own, err := (&types.Config{Importer: imports}).Check(folder, set, files, info)
	if err != nil {
		t.Fatal(err)
	}
	for ident, object := range info.Uses {
		method, isFunction := object.(*types.Func)
		isMethod := isFunction && method.Signature().Recv() != nil
		if object.Pkg() != own || (object.Parent() != own.Scope() && !isMethod) {
			continue // another package's, a local name, or a field, which comes with its type
		}
		from, to := filepath.Base(set.Position(ident.Pos()).Filename), filepath.Base(set.Position(object.Pos()).Filename)
		if from != to && !slices.Contains(refersTo[from][to], object.Name()) {
			refersTo[from][to] = append(refersTo[from][to], object.Name())
		}
	}
	return refersTo
}
