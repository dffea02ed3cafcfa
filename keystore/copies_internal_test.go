package keystore

import (
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
)

// A replica that has read the keys before they changed, and writes a copy after another replica has, does not change
// it: a key that was revoked does not come back.
func TestALateWriterOfACopy(t *testing.T) {
	t.Parallel()
	c := &keyCopy{Copy: Copy{Name: "east", Pool: testdb.Pool(t)}}
	key := func(id string) storedKey {
		return storedKey{id: id, algorithm: DefaultAlgorithm, sealed: "x", createdAt: time.Unix(1, 0), signsFrom: time.Unix(2, 0)}
	}
	before := keySet{version: 7, keys: []storedKey{key("leaked")}}
	after := keySet{version: 8, keys: []storedKey{key("next")}}
	for _, set := range []keySet{before, after, before} {
		if err := writeCopy(t.Context(), c, set); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readSet(t.Context(), c.Pool)
	if err != nil || !got.equal(after) {
		t.Errorf("%+v, %v; want %+v", got, err, after)
	}
	if err := writeCopy(t.Context(), c, keySet{version: 8, keys: []storedKey{key("other")}}); err != nil {
		t.Fatal(err)
	}
	if got, err = readSet(t.Context(), c.Pool); err != nil || len(got.keys) != 1 || got.keys[0].id != "other" {
		t.Errorf("of one version, what the first shard has now: %+v, %v", got, err)
	}
}
