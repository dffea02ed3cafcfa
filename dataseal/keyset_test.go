package dataseal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/latchkey-sessions/latchkey/dataseal"
)

func newKeyset(t *testing.T) *dataseal.Keyset {
	t.Helper()
	keys, err := dataseal.NewKeyset()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func marshal(t *testing.T, keys *dataseal.Keyset) []byte {
	t.Helper()
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A new key opens before it seals, and an old one can go when another one seals.
func TestKeysAreReplaced(t *testing.T) {
	t.Parallel()
	first := newKeyset(t)
	old := first.Keys()[0].ID
	if diff := cmp.Diff([]dataseal.Key{{ID: old, Algorithm: "XAES-256-GCM", Primary: true}}, first.Keys()); diff != "" {
		t.Errorf("a new keyset (-want +got):\n%s", diff)
	}

	both, added, err := first.Add()
	if err != nil {
		t.Fatal(err)
	}
	promoted, err := both.Promote(added)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := promoted.Remove(added); !errors.Is(err, dataseal.ErrPrimary) {
		t.Errorf("removing the key that seals: %v", err)
	}
	last, err := promoted.Remove(old)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		keys *dataseal.Keyset
		want []dataseal.Key
	}{
		{first, []dataseal.Key{{old, "XAES-256-GCM", true}}},
		{both, []dataseal.Key{{old, "XAES-256-GCM", true}, {added, "XAES-256-GCM", false}}},
		{promoted, []dataseal.Key{{old, "XAES-256-GCM", false}, {added, "XAES-256-GCM", true}}},
		{last, []dataseal.Key{{added, "XAES-256-GCM", true}}},
	} {
		read, err := dataseal.ParseKeyset(marshal(t, c.keys))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, read.Keys()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	for _, id := range []string{"1", "", "x", old} {
		_, promoteErr := last.Promote(id)
		_, removeErr := last.Remove(id)
		if !errors.Is(promoteErr, dataseal.ErrNoKey) || !errors.Is(removeErr, dataseal.ErrNoKey) {
			t.Errorf("key %q: %v, %v", id, promoteErr, removeErr)
		}
	}
}

func TestKeysetsOfTink(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		template *tinkpb.KeyTemplate
		want     string
	}{
		"AES-256-GCM":        {aead.AES256GCMKeyTemplate(), "AES-256-GCM"},
		"XAES-256-GCM":       {aead.XAES256GCM192BitNonceKeyTemplate(), "XAES-256-GCM"},
		"AES-128-GCM":        {aead.AES128GCMKeyTemplate(), ""},
		"another AEAD":       {aead.XChaCha20Poly1305KeyTemplate(), ""},
		"without a prefix":   {aead.AES256GCMNoPrefixKeyTemplate(), ""},
		"XAES without it":    {aead.XAES256GCM192BitNonceNoPrefixKeyTemplate(), ""},
		"for something else": {mac.HMACSHA256Tag256KeyTemplate(), ""},
		"CTR with an HMAC":   {aead.AES256CTRHMACSHA256KeyTemplate(), ""},
		"AES-256-GCM-SIV":    {aead.AES256GCMSIVKeyTemplate(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handle, err := keyset.NewHandle(c.template)
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
				t.Fatal(err)
			}
			keys, err := dataseal.ParseKeyset(text.Bytes())
			switch {
			case c.want == "" && !errors.Is(err, dataseal.ErrKeyset):
				t.Errorf("taken, or refused with %v", err)
			case c.want != "" && (err != nil || keys.Keys()[0].Algorithm != c.want):
				t.Errorf("%v, %v", keys, err)
			}
		})
	}
}

func TestWhatIsNoKeyset(t *testing.T) {
	t.Parallel()
	good := string(marshal(t, newKeyset(t)))
	for _, text := range []string{
		"", "{}", "null", "[]", "secret", good[:len(good)/2], good + good,
		strings.Replace(good, "ENABLED", "DISABLED", 1), strings.Replace(good, `"primaryKeyId":`, `"primaryKeyId":1`, 1),
		strings.Replace(good, "XAesGcmKey", "YAesGcmKey", 1), `{"encryptedKeyset":"c2VjcmV0"}`,
	} {
		if _, err := dataseal.ParseKeyset([]byte(text)); !errors.Is(err, dataseal.ErrKeyset) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.40q: %v", text, err)
		}
	}
}

// A key cannot be printed by mistake.
func TestNothingPrintsAKey(t *testing.T) {
	t.Parallel()
	keys := newKeyset(t)
	sealer, err := dataseal.NewSealer(keys)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "keys", keys, "sealer", sealer)
	asJSON, err := json.Marshal([]any{keys, sealer})
	if err != nil {
		t.Fatal(err)
	}
	config := struct {
		Keys   *dataseal.Keyset
		Sealer *dataseal.Sealer
	}{keys, sealer}
	printed := log.String() + string(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		printed += fmt.Sprintf(verb, keys) + fmt.Sprintf(verb, sealer) + fmt.Sprintf(verb, config)
	}
	printed = strings.ReplaceAll(printed, "[redacted]", "")
	if strings.Contains(printed, "typeUrl") || strings.Contains(printed, "AesGcm") || len(printed) > 400 {
		t.Errorf("printed: %s", printed)
	}
}
