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
	packages, exports := listPackages(t)
	if len(packages) < 50 {
		t.Fatalf("only %d packages were found", len(packages))
	}
	for _, p := range packages {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			refersTo := references(t, p, exports)
			if p.name == "sessionstore" && len(refersTo["refresh.go"]) == 0 {
				t.Fatal("no references were found")
			}
			if circle := withoutEnds(refersTo); len(circle) > 0 {
				t.Errorf("these files refer to each other, or to files that do: %v", circle)
			}
		})
	}
}

// withoutEnds leaves what refers to each other: it takes away what refers to nothing, or to nothing that is left, until
// there is no more of it.
func withoutEnds(refersTo map[string]map[string][]string) map[string]map[string][]string {
	for {
		ends := slices.DeleteFunc(slices.Collect(maps.Keys(refersTo)), func(file string) bool { return len(refersTo[file]) > 0 })
		if len(ends) == 0 {
			return refersTo
		}
		for _, file := range ends {
			delete(refersTo, file)
			for _, to := range refersTo {
				delete(to, file)
			}
		}
	}
}

// goPackage is a package of this module.
type goPackage struct {
	name, folder string
	files        []string // but for tests, and for those of other systems
}

// listPackages returns the module's packages, and the files with what each imported package exports.
func listPackages(t *testing.T) (own []goPackage, exports map[string]string) {
	t.Helper()
	const format = `{{.ImportPath}}|{{.Export}}|{{if .Module}}{{if .Module.Main}}{{.Module.Path}}{{end}}{{end}}|{{.Dir}}|{{join .GoFiles " "}}`
	list := exec.CommandContext(t.Context(), "go", "list", "-export", "-deps", "-f", format, "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports = map[string]string{}
	for line := range strings.Lines(string(out)) {
		field := strings.Split(strings.TrimSpace(line), "|")
		path, export, module, folder, files := field[0], field[1], field[2], field[3], strings.Fields(field[4])
		exports[path] = export
		if module != "" {
			own = append(own, goPackage{strings.TrimPrefix(path, module+"/"), folder, files})
		}
	}
	return own, exports
}

// references are those between the files of a package, with what they refer to.
func references(t *testing.T, p goPackage, exports map[string]string) map[string]map[string][]string {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	refersTo := map[string]map[string][]string{}
	for _, name := range p.files {
		file, err := parser.ParseFile(set, filepath.Join(p.folder, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		refersTo[name] = map[string][]string{}
	}
	imports := importer.ForCompiler(set, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	own, err := (&types.Config{Importer: imports}).Check(p.name, set, files, info)
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
