package settings

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/internal/shards"
)

const (
	shardsForm = "entries such as east=postgres://user:password@host/latchkey, separated by white space; east:2= gives the shard twice the share of new sessions that others have, east:0= none, and first:0 says it of the shard of LATCHKEY_DATABASE_URL"

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
}

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
	open := true // whether the first shard gets new sessions
	for entry := range strings.FieldsSeq(text) {
		head, url, hasURL := strings.Cut(entry, "=")
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
			if !strings.Contains(url, "://") {
				return nil, fmt.Sprintf("not usable: the address of %s is not a URL", name)
			}
			if _, err := pgxpool.ParseConfig(url); err != nil {
				return nil, fmt.Sprintf("not usable: the address of %s is %s", name, unusable(err))
			}
		}
		if name == shards.FirstName {
			open = shard.Weight > 0
		}
		list = append(list, shard)
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

// ShardURLAgain reads the address of a shard from a text that has been reread.
func ShardURLAgain(text, name string) (string, error) {
	list, is := parseShards(text)
	if is != "" {
		return "", Wrong("LATCHKEY_SHARDS", is, shardsForm)
	}
	for _, shard := range list {
		if shard.Name == name {
			return shard.URL, nil
		}
	}
	return "", fmt.Errorf("LATCHKEY_SHARDS no longer has the shard %q", name)
}
