package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/shards"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

type shardsListCmd struct {
	settings.Database
	settings.Log

	JSON bool `name:"json" help:"Print JSON."`
}

// Help says what the list is for.
func (*shardsListCmd) Help() string {
	return "Lists the databases that sessions are spread over, with about how many live sessions each has. " +
		"A shard with the weight 0 takes no new sessions; it is empty when its last session has ended."
}

// shardLine is a shard in a list.
type shardLine struct {
	Name   string  `json:"name"`
	Number int     `json:"number"`
	State  string  `json:"state"`
	Weight float64 `json:"weight"`
	// Live is approximately how many live sessions it has, and 0 only if there is none; null if that is not
	// known.
	Live *int64 `json:"live_sessions"`
}

// Run prints a line for each present or former shard.
func (c *shardsListCmd) Run(a *app) error {
	return withShards(a.ctx, c.Database, c.NewLogger(a.stderr), newStore(sessionstore.Config{}), func(all opened) error {
		var lines []shardLine
		var failed []error
		for _, shard := range all.shards {
			line := shardLine{Name: shard.Name, Number: shard.Number, State: "open", Weight: shard.Weight}
			if shard.Weight == 0 {
				line.State = "draining"
			}
			live, err := liveIn(a.ctx, shard.Store)
			switch {
			case err != nil:
				line.State = "unavailable"
				failed = append(failed, fmt.Errorf("shard %s: %w", shard.Name, err))
			case live == 0 && shard.Weight == 0:
				line.State = "empty"
				fallthrough
			default:
				line.Live = &live
			}
			lines = append(lines, line)
		}
		for _, e := range all.entries {
			switch {
			case !e.RemovedAt.IsZero():
				lines = append(lines, shardLine{Name: e.Name, Number: e.Number, State: "removed"})
			case !slices.ContainsFunc(lines, func(l shardLine) bool { return l.Number == e.Number }):
				lines = append(lines, shardLine{Name: e.Name, Number: e.Number, State: "not configured"})
			}
		}
		return errors.Join(c.print(a, lines), errors.Join(failed...))
	})
}

func (c *shardsListCmd) print(a *app, lines []shardLine) error {
	if c.JSON {
		return a.printJSON(map[string]any{"shards": lines})
	}
	return printTable(a.stdout, []string{"SHARD", "NUMBER", "STATE", "WEIGHT", "LIVE"}, lines, func(l shardLine) []string {
		live := "-"
		if l.Live != nil {
			live = strconv.FormatInt(*l.Live, 10)
		}
		return []string{l.Name, strconv.Itoa(l.Number), l.State, strconv.FormatFloat(l.Weight, 'g', -1, 64), live}
	})
}

// liveIn is approximately how many live sessions there are; 0 only if there is none.
func liveIn(ctx context.Context, store *sessionstore.Store) (int64, error) {
	has, err := store.HasLive(ctx)
	if err != nil || !has {
		return 0, err
	}
	n, err := store.EstimateLive(ctx)
	return max(1, n), err
}

type shardsRemoveCmd struct {
	settings.Database
	settings.Log

	Name string `arg:"" help:"The shard."`
}

// Help says what to do before and after.
func (*shardsRemoveCmd) Help() string {
	return "Removes a shard without live sessions from the list permanently. Give it the weight 0 in LATCHKEY_SHARDS of every replica first, " +
		"and wait until `shards list` shows it as empty. Then remove it from LATCHKEY_SHARDS; its database is not changed."
}

// Run removes the shard.
func (c *shardsRemoveCmd) Run(a *app) error {
	return withShards(a.ctx, c.Database, c.NewLogger(a.stderr), newStore(sessionstore.Config{}), func(all opened) error {
		e, known := shards.Find(all.entries, c.Name)
		i := slices.IndexFunc(all.shards, func(s shards.Shard) bool { return s.Name == c.Name })
		switch {
		case c.Name == shards.FirstName:
			return errors.New("the first shard cannot be removed: it has the list of the others")
		case !known:
			return fmt.Errorf("there is no shard %s", c.Name)
		case i < 0:
			return fmt.Errorf("LATCHKEY_SHARDS lacks %s: its database must be queried for remaining sessions", c.Name)
		case all.shards[i].Weight > 0:
			return fmt.Errorf("the shard %s takes new sessions: give it the weight 0 first, as in %s:0=…, on every replica", c.Name, c.Name)
		}
		if err := shards.Remove(a.ctx, all.shards[0].Pool, e, all.shards[i].Pool, all.shards[i].Store); err != nil {
			return err
		}
		_, err := fmt.Fprintf(a.stdout, "removed the shard %s\n", c.Name)
		return err
	})
}
