package frameworks_test

import (
	"os"
	"strings"
	"testing"
)

// The code in docs/frameworks.md is the code that the tests run.
func TestDocsShowTheAdaptors(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/frameworks.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"echo.go", "gin.go", "fiber.go"} {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, code, found := strings.Cut(string(source), "\n)\n")
		if !found || !strings.Contains(string(docs), "```go"+code+"```") {
			t.Errorf("docs/frameworks.md does not show %s as it is", name)
		}
	}
}
