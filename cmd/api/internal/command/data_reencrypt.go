package command

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/terminal"
	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type dataReencryptCmd struct {
	settings.Database
	settings.Data
	settings.Log

	DryRun bool `help:"Count the rows by key, and change nothing."`
	Unseal bool `help:"Store the data unsealed instead."`
	JSON   bool `name:"json" help:"Print JSON."`
}

// Help says what the command does to a running service.
func (*dataReencryptCmd) Help() string {
	return "Seals all session data with the current key: data that is not sealed, and data that another key of the keyset sealed. " +
		"The service keeps running, and none of its changes is overwritten. An interruption loses nothing: the next run skips what is done. " +
		"The exit code is 1 if rows are left because a replica wrote with another key meanwhile, or because a key is missing."
}

// Validate requires a keyset.
func (c *dataReencryptCmd) Validate() error { return c.Required() }

// Run seals or unseals the data, shows progress, and prints what remains.
func (c *dataReencryptCmd) Run(a *app) error {
	keys, err := c.Keyset()
	if err != nil {
		return err
	}
	sealer, err := dataseal.NewSealer(keys)
	if err != nil {
		return err
	}
	log := c.NewLogger(a.stderr)
	return a.eachStore(a.ctx, c.Database, log, sessionstore.Config{Sealer: sealer}, func(store *sessionstore.Store) error {
		task := &reencryption{dataReencryptCmd: c, app: a, log: log, store: store, keys: keys, wanted: sealer.Key(), start: time.Now()}
		if c.Unseal {
			task.wanted = ""
		}
		return task.run()
	})
}

// reencryption is a run of the command.
type reencryption struct {
	*dataReencryptCmd
	*app

	log    *slog.Logger
	store  *sessionstore.Store
	keys   *dataseal.Keyset
	wanted string // the key that all rows should have; empty for none
	start  time.Time
}

func (r *reencryption) run() error {
	counts, err := r.store.CountSealed(r.ctx, nil)
	if err != nil {
		return err
	}
	var done sessionstore.Resealed
	if !r.DryRun {
		if done, err = r.reseal(counts); err != nil {
			return errors.Join(err, r.print(done, nil))
		}
		if counts, err = r.store.CountSealed(r.ctx, nil); err != nil {
			return errors.Join(err, r.print(done, nil))
		}
	}
	if err := r.print(done, counts); err != nil || r.DryRun {
		return err
	}
	return r.left(done, counts)
}

func (r *reencryption) reseal(counts map[string]int64) (sessionstore.Resealed, error) {
	var last sessionstore.Resealed
	at, end, err := r.progress("rows looked at", func() (int64, error) { return total(counts), nil }, func(rows int64) {
		r.log.InfoContext(r.ctx, "resealing data", "rows", rows, "of", total(counts), "written", last.Written)
	})
	if err != nil {
		return last, err
	}
	defer end()
	return r.store.Reseal(r.ctx, sessionstore.Reseal{Unseal: r.Unseal, Progress: func(done sessionstore.Resealed) {
		last = done
		at(done.Rows)
	}})
}

// left is an error if not all rows are as they should be.
func (r *reencryption) left(done sessionstore.Resealed, counts map[string]int64) error {
	left := total(counts) - counts[r.wanted]
	if left == 0 {
		return r.advise()
	}
	text := fmt.Sprintf("%d %s left", left, plural(left, "row")+map[bool]string{true: " is", false: " are"}[left == 1])
	sealed, unreadable := errors.AsType[*sessionstore.SealedError](done.Reason)
	if !unreadable {
		return fmt.Errorf("%s: the service has written with another key in the meantime; run this command again when every replica has this keyset", text)
	}
	return fmt.Errorf("%s, of which %d cannot be opened, such as that of session %s: %w", text, done.Unreadable, sealed.SessionID, sealed)
}

// advise says what can be done once all rows are sealed.
func (r *reencryption) advise() error {
	if r.JSON || r.Unseal {
		return nil
	}
	_, err := fmt.Fprintln(r.stdout, "everything is sealed: when every replica has the keyset, LATCHKEY_DATA_SEALED_ONLY=true can be set")
	return err
}

// dataRows are the rows that one key sealed.
type dataRows struct {
	Key  string `json:"kid"`
	Rows int64  `json:"rows"`
	// Use is the key's role in the keyset.
	Use string `json:"use"`
}

// print prints what was done, even by a run that failed or was interrupted, and the present
// state.
func (r *reencryption) print(done sessionstore.Resealed, counts map[string]int64) error {
	rows := r.rows(counts)
	if r.JSON {
		return r.printJSON(struct {
			DryRun     bool       `json:"dry_run"`
			Written    int64      `json:"written"`
			Changed    int64      `json:"changed"`
			Unreadable int64      `json:"unreadable"`
			Seconds    float64    `json:"seconds"`
			Keys       []dataRows `json:"keys,omitempty"`
		}{r.DryRun, done.Written, done.Changed, done.Unreadable, time.Since(r.start).Seconds(), rows})
	}
	if !r.DryRun {
		did := "resealed %d %s with key " + r.wanted
		if r.Unseal {
			did = "unsealed %d %s"
		}
		if _, err := fmt.Fprintf(r.stdout, did+" in %v\n", done.Written, plural(done.Written, "row"), time.Since(r.start).Round(time.Millisecond)); err != nil {
			return err
		}
	}
	if counts == nil {
		return nil
	}
	return printTable(r.stdout, []string{"KEY", "ROWS", "USE"}, rows, func(row dataRows) []string {
		return []string{cmp.Or(terminal.Harmless(row.Key), "-"), strconv.FormatInt(row.Rows, 10), row.Use}
	})
}

// rows lists the keys of the keyset, and any other state of rows: sealed with another key, or
// not at all.
func (r *reencryption) rows(counts map[string]int64) []dataRows {
	if counts == nil {
		return nil
	}
	var list []dataRows
	for _, key := range r.keys.Keys() {
		list = append(list, dataRows{key.ID, counts[key.ID], useOf(key)})
	}
	for key, n := range counts {
		use := "not in the keyset"
		if key == "" {
			use = "not sealed"
		}
		if !slices.ContainsFunc(list, func(row dataRows) bool { return row.Key == key }) {
			list = append(list, dataRows{key, n, use})
		}
	}
	slices.SortStableFunc(list, func(a, b dataRows) int { return strings.Compare(b.Use, a.Use) })
	return list
}

func total(counts map[string]int64) int64 {
	var n int64
	for _, rows := range counts {
		n += rows
	}
	return n
}
