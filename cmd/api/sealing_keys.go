package main

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/tokens"
)

const sealingKeysForm = "32 random bytes in base64, such as `openssl rand -base64 32` prints, or several of these, separated by commas: the first seals, all open"

// sealingKeys are what signing keys in PostgreSQL are sealed with.
type sealingKeys [][]byte

// Decode reads the keys. It never shows one.
func (k *sealingKeys) Decode(ctx *kong.DecodeContext) error {
	return decodeSecret(ctx, func(text string) (is, may string) {
		var keys sealingKeys
		for part := range strings.SplitSeq(text, ",") {
			key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(part))
			if err != nil || len(key) != tokens.SealingKeyBytes {
				return "not usable", sealingKeysForm
			}
			keys = append(keys, key)
		}
		*k = keys
		return "", ""
	})
}

func (k sealingKeys) String() string {
	if len(k) == 0 {
		return ""
	}
	return tokens.Secret("").String()
}

// keyAlgorithm is the algorithm of new signing keys.
type keyAlgorithm string

// Decode reads the name of an algorithm.
func (a *keyAlgorithm) Decode(ctx *kong.DecodeContext) error {
	return decode(ctx, func(text string) string {
		names := tokens.AlgorithmNames()
		if !slices.Contains(names, text) {
			return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
		}
		*a = keyAlgorithm(text)
		return ""
	})
}
