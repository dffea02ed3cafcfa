package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

const resultsName = "results.json"

// write writes the report, its pictures and the results, and shows what was to be reached.
func write(cfg config, results report.Results) error {
	folder := cfg.folder()
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // documents
		return err
	}
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, resultsName), append(text, '\n'), 0o644); err != nil { //nolint:gosec // where the caller wants it
		return err
	}

	return render(cfg, results)
}

// renderAgain writes the report from the results of an earlier run.
func renderAgain(cfg config) error {
	text, err := os.ReadFile(filepath.Join(cfg.folder(), resultsName)) //nolint:gosec // where the caller has it
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
	folder := cfg.folder()
	pictures, err := report.Pictures(results)
	if err != nil {
		return err
	}
	for name, picture := range pictures {
		if err := os.WriteFile(filepath.Join(folder, name), picture, 0o644); err != nil { //nolint:gosec // a document
			return err
		}
	}
	page, err := report.Page(results, filepath.Base(folder))
	if err != nil {
		return err
	}
	if err := os.WriteFile(cfg.out, page, 0o644); err != nil { //nolint:gosec // a document
		return err
	}
	if err := printTargets(os.Stdout, results); err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "\nThe report is %s\n", cfg.out)

	return err
}

func printTargets(out io.Writer, results report.Results) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	lines := []string{"TO BE REACHED\tWANTED\tMEASURED\t"}
	for _, t := range report.Targets(results) {
		lines = append(lines, fmt.Sprintf("%s\t%s\t%s\t%s", t.What, t.Wanted, t.Measured, t.Verdict()))
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))

	return errors.Join(err, w.Flush())
}

// printRows shows what -only has asked for.
func printRows(out io.Writer, results report.Results) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	lines := []string{"OPERATION\tSESSIONS\tWORKERS\tPER SECOND\tP50 MS\tP99 MS\tCPU US\tSERVICE\tPOSTGRESQL\tWAL\tROUNDS"}
	for _, r := range results.Rows {
		lines = append(lines, fmt.Sprintf("%s %s %s\t%d\t%d\t%.0f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f", r.Layer, r.Operation, r.Variant,
			r.Sessions, r.Workers, r.PerSecond(), r.P50, r.P99, r.ClientCPU, r.ServerCPU, r.DatabaseCPU, r.WAL, r.Rounds))
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))

	return errors.Join(err, w.Flush())
}
