package settings

import (
	"fmt"
	"net/url"
	"runtime"
	"slices"

	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/internal/shards"
)

// Private reports whether the sessions are in a private PostgreSQL below LATCHKEY_VAR_DIR.
func (s Database) Private() bool { return s.DatabaseURL == "" || s.DatabaseURL == private }

// Pooled reports whether LATCHKEY_DATABASE_URL leads to a PgBouncer in transaction mode.
func (s Database) Pooled() bool { return s.DirectDatabaseURL != "" }

// Meant refuses the private database if LATCHKEY_DATABASE_URL seems to have been forgotten, since it would not be the sessions' database,
// and if there cannot be one. It is separate from what kong calls because some commands do not need the database.
func (s Database) Meant() error {
	if err := s.CheckShards(); err != nil {
		return err
	}
	return s.meantOn(runtime.GOOS)
}

func (s Database) meantOn(system string) error {
	switch {
	case s.Private() && system == "windows":
		return WrongTogether("the private PostgreSQL needs Linux or macOS: set LATCHKEY_DATABASE_URL to a PostgreSQL that has or will have the sessions")
	case s.DatabaseURL != "" || s.deployment == "":
		return nil
	}
	return WrongTogether(s.deployment + " is set and LATCHKEY_DATABASE_URL is not: set it to the PostgreSQL that has the sessions, or to private for a database below LATCHKEY_VAR_DIR")
}

// AfterApply looks for settings that only a deployment has, even those of other commands: they all get one environment.
func (s *Database) AfterApply(ctx *kong.Context, environment *Environment) error {
	for flag := range flags(ctx.Model.Node) {
		if text := environment.given(flag); text != "" && flag.Tag.Has("deployment") && !isLoopbackURL(text) {
			s.deployment = variable(flag.Name)
			break
		}
	}
	return nil
}

// given is what a setting is set to, on the command line or in the environment, or an empty
// string.
func (e *Environment) given(flag *kong.Flag) string {
	if flag.Set {
		return fmt.Sprint(flag.Target)
	}
	found, _ := e.find(flag) // an error is the business of the command that reads it
	return found.value
}

// isLoopbackURL reports whether an issuer is only for this machine.
func isLoopbackURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && isLoopback(u.Hostname())
}

// Sharded reports whether sessions are spread over several databases.
func (s Database) Sharded() bool { return len(s.Shards) > 0 }

// FirstWeight is the share of new sessions that the shard of LATCHKEY_DATABASE_URL gets.
func (s Database) FirstWeight() float64 {
	for _, shard := range s.Shards {
		if shard.Name == shards.FirstName {
			return shard.Weight
		}
	}
	return 1
}

// FurtherShards are all but that of LATCHKEY_DATABASE_URL.
func (s Database) FurtherShards() []ShardURL {
	return slices.DeleteFunc(slices.Clone(s.Shards), func(s ShardURL) bool { return s.Name == shards.FirstName })
}

// CheckShards refuses settings that do not work with several databases.
func (s Database) CheckShards() error {
	switch {
	case !s.Sharded():
		return nil
	case s.Private():
		return WrongTogether("LATCHKEY_SHARDS is set and LATCHKEY_DATABASE_URL is not: it must be set to the PostgreSQL of the first shard")
	}
	return nil
}
