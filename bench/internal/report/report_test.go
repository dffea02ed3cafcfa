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

	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

const docs = "../../../docs"

// published are the results that docs/performance.md is made of.
func published(t *testing.T) (results report.Results) {
	t.Helper()

	text, err := os.ReadFile(filepath.Join(docs, "performance", "results.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &results); err != nil {
		t.Fatal(err)
	}

	return results
}

// What is published is what the program makes of its results: go run . -render writes it.
func TestThePublishedReport(t *testing.T) {
	t.Parallel()

	results := published(t)
	documents, err := report.Pictures(results)
	if err != nil {
		t.Fatal(err)
	}
	if len(documents) != 4 {
		t.Errorf("there are %d pictures", len(documents))
	}
	page, err := report.Page(results, "performance")
	if err != nil {
		t.Fatal(err)
	}
	documents["../performance.md"] = page
	for name, got := range documents {
		want, err := os.ReadFile(filepath.Join(docs, "performance", name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-published +rendered):\n%s", name, diff)
		}
		if strings.HasSuffix(name, ".svg") {
			isXML(t, name, got)
		}
	}
}

func isXML(t *testing.T, name string, text []byte) {
	t.Helper()

	decoder := xml.NewDecoder(strings.NewReader(string(text)))
	for {
		switch _, err := decoder.Token(); {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestTargetsOfNothingAreNotReached(t *testing.T) {
	t.Parallel()

	for _, target := range report.Targets(report.Results{}) {
		if target.Verdict() != "not measured" {
			t.Errorf("%s: %s", target.What, target.Verdict())
		}
	}
	page, err := report.Page(report.Results{}, "x")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), ".svg") {
		t.Error("a report of nothing has a picture")
	}
}
