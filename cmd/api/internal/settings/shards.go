package settings

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/shards"
)

const (
	shardsForm = "entries such as east=postgres://user:password@host/latchkey, separated by white space; east:2= gives the shard twice the share of new sessions that others have, east:0= none, and first:0 says it of the shard of LATCHKEY_DATABASE_URL; east.direct=postgres://… is the same database without the PgBouncer that the other address leads to"

	// directSuffix follows the name of a shard whose other address leads to a PgBouncer.
	directSuffix = ".direct"

	// maxWeight keeps the values compared with it far from the limits of a float64's
	// precision.
	maxWeight = 1000
)

// shardName matches a shard's name, which is also a metric label.
var shardName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// ShardURL is a database that sessions are spread over.
type ShardURL struct {
	Name string
	// Weight is its share of new sessions.
	Weight float64
	// URL may hold a password. That of the first shard is LATCHKEY_DATABASE_URL, and empty here.
	URL string
	// Direct is the same database without the pooler, if URL leads to a PgBouncer in transaction mode.
	Direct string
}

// Pooled reports whether the shard's URL leads to a PgBouncer in transaction mode.
func (u ShardURL) Pooled() bool { return u.Direct != "" }

// Unpooled is the address that leads to PostgreSQL itself.
func (u ShardURL) Unpooled() string { return cmp.Or(u.Direct, u.URL) }

// shardURLs are all shards but the first, and the first one if its weight is given.
type shardURLs []ShardURL

// Decode reads the shards. It never reveals a URL.
func (s *shardURLs) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		list, is := parseShards(text)
		if is != "" {
			return is, shardsForm
		}
		*s = list
		return "", ""
	})
}

func (s shardURLs) String() string {
	if len(s) == 0 {
		return ""
	}
	return "[redacted]"
}

// parseShards returns the shards, or what is wrong with the text, without revealing it.
func parseShards(text string) (list shardURLs, is string) {
	open := true                  // whether the first shard gets new sessions
	direct := map[string]string{} // the direct addresses, by the shard's name
	for entry := range strings.FieldsSeq(text) {
		head, url, hasURL := strings.Cut(entry, "=")
		if name, isDirect := strings.CutSuffix(head, directSuffix); isDirect {
			if is := checkShardURL(name, url); is != "" {
				return nil, is
			}
			if direct[name] != "" {
				return nil, fmt.Sprintf("not usable: %s%s is there twice", name, directSuffix)
			}
			direct[name] = url
			continue
		}
		name, weight, isWeighed := strings.Cut(head, ":")
		shard := ShardURL{Name: name, Weight: 1, URL: url}
		switch {
		case !shardName.MatchString(name):
			return nil, "not usable: an entry has no name of small letters, digits, - and _"
		case slices.ContainsFunc(list, func(s ShardURL) bool { return s.Name == name }):
			return nil, fmt.Sprintf("not usable: %s is there twice", name)
		case name == shards.FirstName && (hasURL || !isWeighed):
			return nil, "not usable: first has the database of LATCHKEY_DATABASE_URL, and only a weight can be given to it"
		case name != shards.FirstName && !hasURL:
			return nil, fmt.Sprintf("not usable: %s has no address", name)
		}
		if isWeighed {
			w, err := strconv.ParseFloat(weight, 64)
			if err != nil || !(w >= 0 && w <= maxWeight) {
				return nil, fmt.Sprintf("not usable: the weight of %s is not a number from 0 to %d", name, maxWeight)
			}
			shard.Weight = w
		}
		if hasURL {
			if is := checkShardURL(name, url); is != "" {
				return nil, is
			}
		}
		if name == shards.FirstName {
			open = shard.Weight > 0
		}
		list = append(list, shard)
	}
	for i := range list {
		if url := direct[list[i].Name]; url != "" && list[i].URL != "" {
			list[i].Direct = url
			delete(direct, list[i].Name)
		}
	}
	if len(direct) > 0 {
		return nil, fmt.Sprintf("not usable: %s%s is not next to an address of that shard", slices.Min(slices.Collect(maps.Keys(direct))), directSuffix)
	}
	further := slices.ContainsFunc(list, func(s ShardURL) bool { return s.Name != shards.FirstName })
	switch {
	case !further:
		return nil, "not usable: it names no shard but the first"
	case !open && !slices.ContainsFunc(list, func(s ShardURL) bool { return s.Weight > 0 }):
		return nil, "not usable: all weights are 0, so that no session could be created"
	}
	return list, ""
}

// checkShardURL returns what is wrong with the address of a shard.
func checkShardURL(name, url string) (is string) {
	if !shardName.MatchString(name) {
		return "not usable: an entry has no name of small letters, digits, - and _"
	}
	if !strings.Contains(url, "://") {
		return fmt.Sprintf("not usable: the address of %s is not a URL", name)
	}
	if _, err := pgxpool.ParseConfig(url); err != nil {
		return fmt.Sprintf("not usable: the address of %s is %s", name, unusable(err))
	}
	return ""
}

// ShardURLAgain reads an address of a shard from a text that has been reread: the one of the two that which returns.
func ShardURLAgain(text, name string, which func(ShardURL) string) (string, error) {
	list, is := parseShards(text)
	if is != "" {
		return "", Wrong("LATCHKEY_SHARDS", is, shardsForm)
	}
	for _, shard := range list {
		if shard.Name == name {
			return which(shard), nil
		}
	}
	return "", fmt.Errorf("LATCHKEY_SHARDS no longer has the shard %q", name)
}
