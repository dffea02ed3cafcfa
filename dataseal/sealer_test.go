package dataseal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/dataseal"
)

func newSealer(tb testing.TB, keys *dataseal.Keyset) *dataseal.Sealer {
	tb.Helper()
	sealer, err := dataseal.NewSealer(keys)
	if err != nil {
		tb.Fatal(err)
	}
	return sealer
}

func seal(tb testing.TB, s *dataseal.Sealer, session uuid.UUID, data string) []byte {
	tb.Helper()
	sealed, err := s.Seal(session, []byte(data))
	if err != nil {
		tb.Fatal(err)
	}
	return sealed
}

const data = `{"name":"Ada Lovelace","cart":[1,2,3]}`

func TestSealedDataOpensForItsSessionAlone(t *testing.T) {
	t.Parallel()
	s := newSealer(t, newKeyset(t))
	session, other := uuid.New(), uuid.New()
	sealed := seal(t, s, session, data)
	if bytes.Contains(sealed, []byte("Ada Lovelace")) {
		t.Errorf("sealed data is %q", sealed)
	}
	if bytes.Equal(sealed, seal(t, s, session, data)) {
		t.Error("the same data sealed twice looks the same")
	}
	if opened, err := s.Open(session, sealed); err != nil || string(opened) != data {
		t.Errorf("opened %q, %v", opened, err)
	}
	if opened, err := s.Open(other, sealed); opened != nil || !errors.Is(err, dataseal.ErrDoesNotOpen) {
		t.Errorf("for another session: %q, %v", opened, err)
	}
}

// One bit is enough, wherever it is. A changed key number is a key that is not there.
func TestChangedDataDoesNotOpen(t *testing.T) {
	t.Parallel()
	s := newSealer(t, newKeyset(t))
	session := uuid.New()
	sealed := seal(t, s, session, data)
	for bit := range len(sealed) * 8 {
		changed := bytes.Clone(sealed)
		changed[bit/8] ^= 1 << (bit % 8)
		want := dataseal.ErrDoesNotOpen
		if at := bit / 8; at >= 1 && at <= 4 {
			want = dataseal.ErrUnknownKey
		}
		if opened, err := s.Open(session, changed); opened != nil || !errors.Is(err, want) {
			t.Errorf("bit %d: %q, %v, want %v", bit, opened, err, want)
		}
	}
	for length := range sealed {
		if opened, err := s.Open(session, sealed[:length]); opened != nil || err == nil {
			t.Errorf("cut off after %d bytes: %q, %v", length, opened, err)
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	before := newKeyset(t)
	both, added, err := before.Add()
	if err != nil {
		t.Fatal(err)
	}
	after, err := both.Promote(added)
	if err != nil {
		t.Fatal(err)
	}
	older, knowing, newer := newSealer(t, before), newSealer(t, both), newSealer(t, after)
	if older.Key() != before.Keys()[0].ID || knowing.Key() != older.Key() || newer.Key() != added {
		t.Fatalf("the keys that seal: %s, %s, %s", older.Key(), knowing.Key(), newer.Key())
	}
	session := uuid.New()
	underOld, underNew := seal(t, knowing, session, data), seal(t, newer, session, data)
	for _, c := range []struct {
		sealer *dataseal.Sealer
		sealed []byte
		want   error
	}{
		{older, underOld, nil},
		{older, underNew, dataseal.ErrUnknownKey},
		{knowing, underOld, nil},
		{knowing, underNew, nil},
		{newer, underOld, nil},
		{newer, underNew, nil},
	} {
		opened, err := c.sealer.Open(session, c.sealed)
		if !errors.Is(err, c.want) || err == nil && string(opened) != data {
			t.Errorf("%q, %v, want %v", opened, err, c.want)
		}
	}

	sum := older.Sum(session, []byte(data))
	switch {
	case !bytes.Equal(sum, knowing.Sum(session, []byte(data))):
		t.Error("a key that does not seal yet changes the checksum")
	case bytes.Equal(sum, newer.Sum(session, []byte(data))):
		t.Error("a new key that seals does not change the checksum")
	case !newer.IsSum(session, []byte(data), sum), !knowing.IsSum(session, []byte(data), newer.Sum(session, []byte(data))):
		t.Error("a checksum under another key of the keyset is not known")
	case older.IsSum(session, []byte(data), newer.Sum(session, []byte(data))):
		t.Error("a checksum is known without its key")
	}
}

// Checksums are the same for the same session and content, and reveal nothing else.
func TestSums(t *testing.T) {
	t.Parallel()
	keys := newKeyset(t)
	s := newSealer(t, keys)
	session := uuid.New()
	sum := s.Sum(session, []byte(data))
	if len(sum) != 32 || !bytes.Equal(sum, s.Sum(session, []byte(data))) || !bytes.Equal(sum, newSealer(t, keys).Sum(session, []byte(data))) {
		t.Errorf("%x is not the same everywhere", sum)
	}
	for what, other := range map[string][]byte{
		"other content":   s.Sum(session, []byte(strings.ToUpper(data))),
		"another session": s.Sum(uuid.New(), []byte(data)),
		"another key":     newSealer(t, newKeyset(t)).Sum(session, []byte(data)),
	} {
		if bytes.Equal(sum, other) {
			t.Errorf("%s has the same checksum", what)
		}
	}
	if s.IsSum(session, []byte(data), sum[:31]) || s.IsSum(session, []byte(data), nil) {
		t.Error("a part of a checksum will do")
	}
}

func BenchmarkSealer(b *testing.B) {
	keys, err := dataseal.NewKeyset()
	if err != nil {
		b.Fatal(err)
	}
	s, session := newSealer(b, keys), uuid.New()
	for name, size := range map[string]int{"1KiB": 1 << 10, "64KiB": 64 << 10} {
		content := []byte(`{"a":"` + strings.Repeat("x", size) + `"}`)
		sealed := seal(b, s, session, string(content))
		for _, op := range []struct {
			name string
			do   func()
		}{
			{"Seal", func() { _, _ = s.Seal(session, content) }},
			{"Open", func() { _, _ = s.Open(session, sealed) }},
			{"Sum", func() { s.Sum(session, content) }},
		} {
			b.Run(op.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(content)))
				for b.Loop() {
					op.do()
				}
			})
		}
	}
}
