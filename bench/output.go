package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/latchkey-sessions/latchkey/bench/internal/must"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

const resultsName = "results.json"

// write writes the report, its pictures and the results, and shows what was to be reached.
func write(cfg config, results report.Results) {
	must.Do(os.MkdirAll(cfg.folder(), 0o755)) //nolint:gosec // documents
	text := must.Get(json.MarshalIndent(results, "", "  "))
	must.Do(os.WriteFile(filepath.Join(cfg.folder(), resultsName), append(text, '\n'), 0o644)) //nolint:gosec // a document
	render(cfg, results)
}

// renderAgain writes the report from the results of an earlier run.
func renderAgain(cfg config) {
	var results report.Results
	must.Do(json.Unmarshal(must.Get(os.ReadFile(filepath.Join(cfg.folder(), resultsName))), &results)) //nolint:gosec // where the caller has it
	render(cfg, results)
}

func render(cfg config, results report.Results) {
	for name, text := range report.Documents(results, filepath.Base(cfg.folder())) {
		path := filepath.Join(cfg.folder(), name)
		if name == report.PageName {
			path = cfg.out
		}
		must.Do(os.WriteFile(path, text, 0o644)) //nolint:gosec // a document
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "TO BE REACHED\tWANTED\tMEASURED\t") // Flush has the error
	for _, t := range results.Targets() {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.What, t.Wanted, t.Measured, t.Verdict()) // as above
	}
	_, _ = fmt.Fprintf(w, "\nThe report is %s\n", cfg.out) // as above
	must.Do(w.Flush())
}
