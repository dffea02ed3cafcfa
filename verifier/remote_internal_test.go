package verifier

import (
	"log/slog"
	"testing"
	"time"
)

// What the feed's server sends is applied or refused; whatever it is, no set is
// ever sure of more than the time at which it was asked.
func FuzzFeedEvent(f *testing.F) {
	for _, seed := range []string{
		`{"cursor":"a.1.0.c","reset":true,"sessions":[{"id":"01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91","until":1795219525}],"complete_ms":-3,"from":1795219201}`,
		`{"cursor":"a","more":true,"sessions":[],"from":0}`, `{"cursor":"a","complete_ms":9223372036854775807}`, `{"cursor":"a","complete_ms":-9223372036854775808,"reset":true}`,
		`{"cursor":"","complete_ms":1}`, `{}`, `null`, `[`, ``, `{"cursor":"a","complete_ms":1,"sessions":[{"until":-1}],"reset":true,"from":-9}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		now := Moment{Mono: time.Hour, Wall: time.Unix(1795219300, 0)}
		set := newSet(time.Second, &databaseClock{now: func() Moment { return now }, logger: slog.New(slog.DiscardHandler)})
		cursor := "before"
		complete, err := take(data, set, now, &cursor)
		if err != nil && (complete || cursor != "before") {
			t.Errorf("%v, but complete %v at %q", err, complete, cursor)
		}
		if age := set.Age(); age < 0 {
			t.Errorf("the set knows what will be revoked in the next %v", -age)
		}
	})
}
