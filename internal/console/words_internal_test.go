package console

import (
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/metrics"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// The charts have a name for each reason of the contract, and each outcome of the metrics that
// is a refusal.
func TestChartsHaveNames(t *testing.T) {
	t.Parallel()
	contract, err := os.ReadFile("../../httpapi/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`enum: \[(signed_out, [^\]]*)\]`).FindSubmatch(contract)
	if m == nil {
		t.Fatal("the contract lists no reasons")
	}
	for reason := range strings.SplitSeq(string(m[1]), ", ") {
		if endedBy[sessionstore.Reason(reason)] == "" {
			t.Errorf("the reason %s has no name", reason)
		}
		if text := reasonOf(sessionstore.Ending{Cause: sessionstore.Cause{Reason: sessionstore.Reason(reason)}}).Text; strings.Contains(text, "_") || strings.Contains(text, ": "+reason) {
			t.Errorf("%s is told as %q", reason, text)
		}
	}
	outcomes := metrics.New("1.2.3", slog.New(slog.DiscardHandler), "shop").Refreshes()
	if len(outcomes) < 10 {
		t.Fatalf("%v", outcomes)
	}
	for outcome := range outcomes {
		if refusedAs[outcome] == "" && !slices.Contains(givePairs, outcome) {
			t.Errorf("the outcome %s has no name", outcome)
		}
	}
}

// Each kind of theft in the protocol is described in words.
func TestKindsOfTheftHaveWords(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../refresh/outcome.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := spec.Type.(*ast.Ident); !ok || kind.Name != "Theft" {
			return true
		}
		for _, value := range spec.Values {
			literal, ok := value.(*ast.BasicLit)
			if !ok {
				t.Fatalf("%s is no literal", spec.Names[0])
			}
			kind, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Fatal(err)
			}
			words := theftKind(sessionstore.Theft(kind))
			if words == kind || told[words] != "" {
				t.Errorf("the theft %s is described as %q, as is %q", kind, words, told[words])
			}
			told[words] = kind
		}
		return true
	})
	if len(told) < 4 {
		t.Errorf("these are not all kinds: %v", told)
	}
}
