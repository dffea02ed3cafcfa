package sessionstore_test

import (
	"strings"
	"testing"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// BenchmarkSealing compares operations on data of 1 KiB, sealed and not.
func BenchmarkSealing(b *testing.B) {
	sealed := sealing(b, newKeyset(b))
	sealed.Grace = rotating().Grace
	for _, c := range []struct {
		name string
		cfg  sessionstore.Config
	}{{"plain", rotating()}, {"sealed", sealed}} {
		store, _ := one(b, c.cfg)
		params := sessionstore.CreateParams{Data: []byte(`{"a":"` + strings.Repeat("x", 1<<10) + `"}`)}
		session, pair, err := store.Create(b.Context(), params)
		if err != nil {
			b.Fatal(err)
		}
		other := []byte(strings.Replace(string(params.Data), `"a"`, `"b"`, 1))
		checksum, data := session.Checksum, [][]byte{params.Data, other}
		for _, op := range []operationOnSession{
			{"Create", func() error {
				_, _, err := store.Create(b.Context(), params)
				return err
			}},
			{"Get", func() error {
				_, _, err := store.Get(b.Context(), string(pair.AccessToken))
				return err
			}},
			{"UpdateUnchanged", func() error {
				_, err := store.Update(b.Context(), session.ID, session.Checksum, params.Data)
				return err
			}},
			{"Update", func() error {
				data[0], data[1] = data[1], data[0]
				checksum, err = store.Update(b.Context(), session.ID, checksum, data[0])
				return err
			}},
		} {
			b.Run(op.name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := op.do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
