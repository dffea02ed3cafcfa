// Package auditschema checks audit events against docs/audit.schema.json, in
// tests.
package auditschema

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	_, file, _, _ := runtime.Caller(0)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	return compiler.Compile(filepath.Join(filepath.Dir(file), "..", "..", "docs", "audit.schema.json"))
})

// Check returns what is wrong with an event, given as its line.
func Check(tb testing.TB, line []byte) error {
	tb.Helper()
	schema, err := compiled()
	if err != nil {
		tb.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// Events reads lines, each of which must conform to the schema.
func Events(tb testing.TB, lines string) []map[string]any {
	tb.Helper()
	var events []map[string]any
	for line := range strings.Lines(lines) {
		if !strings.HasSuffix(line, "\n") {
			tb.Errorf("a line without an end: %q", line)
		}
		if err := Check(tb, []byte(line)); err != nil {
			tb.Errorf("%s%v", line, err)
		}
		var event map[string]any
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			tb.Fatal(err)
		}
		events = append(events, event)
	}
	return events
}
