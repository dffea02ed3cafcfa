package report_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

const docs = "../../../docs"

// The published report is what the program generates from its results: go run . -render writes it.
func TestThePublishedReport(t *testing.T) {
	t.Parallel()

	read := func(name string) string { return string(must.Get(os.ReadFile(filepath.Join(docs, name)))) }
	var results report.Results
	must.Do(json.Unmarshal([]byte(read("performance/results.json")), &results))
	documents := report.Documents(results, "performance")
	if len(documents) != 7 {
		t.Errorf("there are %d documents", len(documents))
	}
	if diff := cmp.Diff(read("performance.md"), string(documents[report.PageName])); diff != "" {
		t.Errorf("(-published +rendered):\n%s", diff)
	}
	delete(documents, report.PageName)
	for name, got := range documents {
		if diff := cmp.Diff(read("performance/"+name), string(got)); diff != "" {
			t.Errorf("%s (-published +rendered):\n%s", name, diff)
		}
		decoder := xml.NewDecoder(strings.NewReader(string(got)))
		var err error
		for err == nil {
			_, err = decoder.Token()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTargetsOfNothingAreNotReached(t *testing.T) {
	t.Parallel()

	for _, target := range (report.Results{}).Targets() {
		if target.Verdict() != "not measured" {
			t.Errorf("%s: %s", target.What, target.Verdict())
		}
	}
	documents := report.Documents(report.Results{}, "x")
	if len(documents) != 1 || strings.Contains(string(documents[report.PageName]), ".svg") {
		t.Error("a report of nothing has a picture")
	}
}
