package sessiontest_test

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// documented is the program that a package's documentation opens with: the lines that are set in.
func documented(t *testing.T, file string) string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	var program strings.Builder
	for line := range strings.Lines(parsed.Doc.Text()) {
		if code, isCode := strings.CutPrefix(line, "\t"); isCode || strings.TrimSpace(line) == "" && program.Len() > 0 {
			program.WriteString(strings.TrimPrefix(code, "\t"))
		} else if program.Len() > 0 {
			break
		}
	}
	return program.String()
}

// run is what the go command prints when it is given a file of that name.
func run(t *testing.T, name, program, command string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", command, file).CombinedOutput() // of this module
	if err != nil {
		t.Fatalf("go %s: %v\n%s\n%s", command, err, out, program)
	}
	return string(out)
}

func TestDocumentedProgramOfMemstore(t *testing.T) {
	t.Parallel()
	program := documented(t, "../memstore/doc.go")
	_, want, _ := strings.Cut(program, "fmt.Println(w.Code, w.Body) // ")
	want, _, _ = strings.Cut(want, "\n")
	if got := strings.TrimSpace(run(t, "main.go", program, "run")); got != want || want == "" {
		t.Errorf("it prints %q, and says that it prints %q", got, want)
	}
}

func TestDocumentedTest(t *testing.T) {
	t.Parallel()
	if got := run(t, "store_test.go", documented(t, "doc.go"), "test"); !strings.HasPrefix(got, "ok") {
		t.Error(got)
	}
}
