package sessionid_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/latchkey-sessions/latchkey/internal/sessionid"
)

// An id shows its shard, and is a UUID of the version and the variant that RFC 9562 requires.
func TestIDsTellTheirShard(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		shard := rapid.IntRange(0, sessionid.MaxShard).Draw(t, "shard")
		id, err := sessionid.New(shard)
		if err != nil {
			t.Fatal(err)
		}
		want := uuid.Version(8)
		if shard == 0 {
			want = 7
		}
		if got := sessionid.Shard(id); got != shard || id.Version() != want || id.Variant() != uuid.RFC4122 {
			t.Fatalf("%s: shard %d, version %d, variant %v; want shard %d, version %d", id, got, id.Version(), id.Variant(), shard, want)
		}
	})
}

// Ids are in chronological order whatever their shard, as lists and their cursors require.
func TestIDsAreInTheOrderOfTime(t *testing.T) {
	t.Parallel()
	var before uuid.UUID
	for i, shard := range []int{sessionid.MaxShard, 0, 1, 0, 2, 0} {
		id, err := sessionid.New(shard)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && bytes.Compare(before[:], id[:]) >= 0 {
			t.Errorf("%s of shard %d is not after %s", id, shard, before)
		}
		before = id
		for began := time.Now().UnixMilli(); time.Now().UnixMilli() <= began; { // ids are ordered by the millisecond
			time.Sleep(time.Millisecond / 4)
		}
	}
}

// The layout is for good: tokens have these ids.
func TestGolden(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"0197a3f0-1c2d-7abc-8def-0123456789ab": 0,
		"0197a3f0-1c2d-8001-8def-0123456789ab": 1,
		"0197a3f0-1c2d-8abc-8def-0123456789ab": 0xabc,
		"0197a3f0-1c2d-8fff-8def-0123456789ab": 4095,
		"5f0c7f8e-93a4-4c1b-9d0e-3a5b6c7d8e9f": 0, // of Compas
	} {
		if got := sessionid.Shard(uuid.MustParse(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}

func TestNoSuchShard(t *testing.T) {
	t.Parallel()
	for _, shard := range []int{-1, sessionid.MaxShard + 1} {
		if id, err := sessionid.New(shard); err == nil {
			t.Errorf("%d: %s", shard, id)
		}
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	const exact = 1<<53 - 1 // Number.MAX_SAFE_INTEGER
	for _, shard := range []int{0, 1, sessionid.MaxShard} {
		for _, own := range []int64{1, 1 << 33, 1<<41 - 1} {
			number := sessionid.Row(shard, own)
			if gotShard, got := sessionid.OfRow(number); gotShard != shard || got != own || number > exact || shard == 0 && number != own {
				t.Errorf("row %d of shard %d: %d, which is row %d of shard %d", own, shard, number, got, gotShard)
			}
		}
	}
	if shard, _ := sessionid.OfRow(-1); shard >= 0 {
		t.Errorf("a negative number is of shard %d", shard)
	}
}
