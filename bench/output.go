package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

const resultsName = "results.json"

// write writes the report, its pictures and the results, and shows what was to be reached.
func write(cfg config, results report.Results) error {
	if err := os.MkdirAll(cfg.folder(), 0o755); err != nil { //nolint:gosec // documents
		return err
	}
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(cfg.folder(), resultsName), append(text, '\n'), 0o644); err != nil { //nolint:gosec // a document
		return err
	}

	return render(cfg, results)
}

// renderAgain writes the report from the results of an earlier run.
func renderAgain(cfg config) error {
	text, err := os.ReadFile(filepath.Join(cfg.folder(), resultsName))
	if err != nil {
		return fmt.Errorf("there are no results of an earlier run: %w", err)
	}
	var results report.Results
	if err := json.Unmarshal(text, &results); err != nil {
		return fmt.Errorf("the results of the earlier run: %w", err)
	}

	return render(cfg, results)
}

func render(cfg config, results report.Results) error {
	documents, err := report.Documents(results, filepath.Base(cfg.folder()))
	if err != nil {
		return err
	}
	for name, text := range documents {
		path := filepath.Join(cfg.folder(), name)
		if name == report.PageName {
			path = cfg.out
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // a document
			return err
		}
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "TO BE REACHED\tWANTED\tMEASURED\t") // Flush has the error
	for _, t := range report.Targets(results) {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.What, t.Wanted, t.Measured, t.Verdict()) // as above
	}
	_, _ = fmt.Fprintf(w, "\nThe report is %s\n", cfg.out) // as above

	return w.Flush()
}
