package httpapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"testing"
)

// Security 20: no step of a request may take forever.
func TestServersHaveTimeouts(t *testing.T) {
	t.Parallel()
	cfg, err := Config{Issuer: "https://a.example", ServiceKeys: []ServiceKey{{Name: "a", Secret: "a-service-key-that-only-tests-have-0001"}}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{cfg: cfg, logger: slog.New(slog.DiscardHandler)}
	server := s.httpServer(t.Context(), http.NotFoundHandler())
	if server.ReadHeaderTimeout <= 0 || server.ReadTimeout <= 0 || server.IdleTimeout <= 0 ||
		server.WriteTimeout <= cfg.RequestTimeout || server.MaxHeaderBytes <= 0 || server.MaxHeaderBytes > 64<<10 {
		t.Errorf("%+v", server)
	}
}

// Security 17 (ASVS 11.2.4): time cannot be measured reliably in a test, so this
// looks at the code. A secret is compared as a digest, in constant time, with
// every key: nothing leaves the loop early.
func TestServiceKeysAreComparedInConstantTime(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "auth.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	loops, compared := 0, 0
	ast.Inspect(file, func(n ast.Node) bool {
		function, ok := n.(*ast.FuncDecl)
		if !ok || function.Name.Name != "serviceKey" {
			return true
		}
		ast.Inspect(function, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.RangeStmt:
				loops++
				ast.Inspect(n.Body, func(n ast.Node) bool {
					switch n.(type) {
					case *ast.ReturnStmt, *ast.BranchStmt:
						t.Error("the loop over the keys ends early")
					}
					return true
				})
			case *ast.SelectorExpr:
				if n.Sel.Name == "ConstantTimeCompare" {
					compared++
				}
			case *ast.BinaryExpr:
				if _, number := n.Y.(*ast.BasicLit); !number {
					t.Error("something is compared as it is")
				}
			}
			return true
		})
		return false
	})
	if loops != 1 || compared != 1 {
		t.Errorf("%d loops and %d comparisons in constant time in serviceKey", loops, compared)
	}
}
