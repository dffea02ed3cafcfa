package sessionstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/dataseal"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

func newKeyset(tb testing.TB) *dataseal.Keyset {
	tb.Helper()
	keys, err := dataseal.NewKeyset()
	if err != nil {
		tb.Fatal(err)
	}
	return keys
}

// sealing is the configuration of a store that seals with the keyset.
func sealing(tb testing.TB, keys *dataseal.Keyset) sessionstore.Config {
	tb.Helper()
	sealer, err := dataseal.NewSealer(keys)
	if err != nil {
		tb.Fatal(err)
	}
	cfg := config()
	cfg.Sealer = sealer
	return cfg
}

// replaced is a keyset, and the same with one more key, which seals.
func replaced(tb testing.TB) (before, after *dataseal.Keyset) {
	tb.Helper()
	before = newKeyset(tb)
	both, added, err := before.Add()
	if err != nil {
		tb.Fatal(err)
	}
	if after, err = both.Promote(added); err != nil {
		tb.Fatal(err)
	}
	return before, after
}

// dump returns all that a superuser, a dump or a backup can see.
func (k kit) dump(t *testing.T) string {
	t.Helper()
	conn, err := k.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	var all bytes.Buffer
	for _, table := range []string{"sessionStore", "sessionStoreToken"} {
		if _, err := conn.Conn().PgConn().CopyTo(t.Context(), &all, `COPY "`+table+`" TO STDOUT`); err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

// The data is in every answer, and nowhere in the tables.
func TestSealedData(t *testing.T) {
	t.Parallel()
	k := setupWith(t, sealing(t, newKeyset(t)))
	const data = `{"name":"Ada Lovelace","cart":[1,2.50,3e2]}`
	check := func(what string, got sessionstore.Session, err error, want, checksum string) {
		t.Helper()
		if err != nil || string(got.Data) != want || got.Checksum != checksum {
			t.Errorf("%s: %s, %q, %v", what, got.Data, got.Checksum, err)
		}
	}
	session, pair := k.create(t, sessionstore.CreateParams{Data: []byte(data)})
	check("Create", session, nil, data, session.Checksum)
	got, _, err := k.Get(t.Context(), string(pair.AccessToken))
	check("Get", got, err, data, session.Checksum)
	got, err = k.Load(t.Context(), session.ID)
	check("Load", got, err, data, session.Checksum)

	const changed = `{"name":"Charles Babbage"}`
	next, err := k.Update(t.Context(), session.ID, session.Checksum, []byte(changed))
	if err != nil || next == session.Checksum {
		t.Fatalf("%q, %v", next, err)
	}
	got, err = k.Load(t.Context(), session.ID)
	check("Load", got, err, changed, next)
	k.create(t, sessionstore.CreateParams{Data: []byte(data)})

	dump := k.dump(t)
	// Each has a space or a quote: random base64 has three given letters now and then.
	for _, secret := range []string{"Ada Lovelace", "Charles Babbage", `"cart"`, `"name"`} {
		if strings.Contains(dump, secret) {
			t.Errorf("the tables show %q:\n%s", secret, dump)
		}
	}
	open := newStore(t, k.pool, k.ring, config())
	if _, _, err := open.Create(t.Context(), sessionstore.CreateParams{Data: []byte(data)}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(k.dump(t), "Lovelace") {
		t.Error("the dump does not show what is not sealed: it proves nothing")
	}
}

// A checksum says neither what the data is, nor that two sessions have the same.
func TestChecksumsOfSealedData(t *testing.T) {
	t.Parallel()
	k := setupWith(t, sealing(t, newKeyset(t)))
	a, _ := k.create(t, sessionstore.CreateParams{Data: []byte(`{"admin":true}`)})
	b, _ := k.create(t, sessionstore.CreateParams{Data: []byte(`{"admin":true}`)})
	plain, err := sessionstore.Checksum([]byte(`{"admin":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if a.Checksum == b.Checksum || a.Checksum == plain || len(a.Checksum) != len(plain) {
		t.Errorf("%q, %q and without a key %q", a.Checksum, b.Checksum, plain)
	}
	before := k.queries.Load()
	if next, err := k.Update(t.Context(), a.ID, a.Checksum, []byte("{ \"admin\" : true }")); err != nil || next != a.Checksum || k.queries.Load() != before {
		t.Errorf("unchanged data: %q, %v, after %d queries", next, err, k.queries.Load()-before)
	}
	if _, err := k.Update(t.Context(), a.ID, b.Checksum, []byte(`{}`)); !errors.Is(err, sessionstore.ErrConflict) {
		t.Errorf("with another session's checksum: %v", err)
	}
	if _, err := k.Update(t.Context(), a.ID, plain, []byte(`{}`)); err != nil {
		t.Errorf("the data's plain checksum is refused: %v", err)
	}
}

// An operator must repair what cannot be opened: it is an outage, which says
// nothing about the token, nor about the data. Everything that needs no data still
// works.
func TestDataThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	keys := newKeyset(t)
	k := setupWith(t, sealing(t, keys))
	other, _ := k.create(t, sessionstore.CreateParams{Data: []byte(`{"name":"Babbage"}`)})
	for name, c := range map[string]struct {
		cfg   sessionstore.Config
		spoil string
		want  error
	}{
		"without a keyset": {config(), ``, nil},
		"another keyset":   {sealing(t, newKeyset(t)), ``, dataseal.ErrUnknownKey},
		"moved here":       {sealing(t, keys), `UPDATE "sessionStore" SET "data" = (SELECT "data" FROM "sessionStore" WHERE "id" = '` + other.ID.String() + `') WHERE "id" = $1`, dataseal.ErrDoesNotOpen},
		"cut off":          {sealing(t, keys), `UPDATE "sessionStore" SET "data" = to_jsonb(left("data" #>> '{}', -4)) WHERE "id" = $1`, dataseal.ErrDoesNotOpen},
		"not base64":       {sealing(t, keys), `UPDATE "sessionStore" SET "data" = '"latchkey-sealed:123:%%%"' WHERE "id" = $1`, nil},
		"no key named":     {sealing(t, keys), `UPDATE "sessionStore" SET "data" = '"latchkey-sealed:text"' WHERE "id" = $1`, nil},
		"empty":            {sealing(t, keys), `UPDATE "sessionStore" SET "data" = '"latchkey-sealed:"' WHERE "id" = $1`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session, pair := k.create(t, sessionstore.CreateParams{Subject: name, Data: []byte(`{"name":"Lovelace"}`)})
			if c.spoil != "" {
				k.exec(t, c.spoil, session.ID)
			}
			store := newStore(t, k.pool, k.ring, c.cfg)
			_, _, getErr := store.Get(t.Context(), string(pair.AccessToken))
			_, loadErr := store.Load(t.Context(), session.ID)
			for _, err := range []error{getErr, loadErr} {
				sealed, ok := errors.AsType[*sessionstore.SealedError](err)
				if !ok || !errors.Is(err, sessionstore.ErrUnavailable) || sessionhttp.IsInvalidToken(err) ||
					sealed.SessionID != session.ID || c.want != nil && !errors.Is(err, c.want) || strings.Contains(err.Error(), "Lovelace") {
					t.Errorf("%v", err)
				}
			}
			if page, err := store.List(t.Context(), name, sessionstore.ListParams{}); err != nil || len(page.Sessions) != 1 {
				t.Errorf("List: %v, %v", page, err)
			}
			if got, err := store.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil || got.Outcome != sessionstore.Rotated {
				t.Errorf("RefreshTokens: %v, %v", got.Outcome, err)
			}
			if c.spoil == "" {
				if got, err := k.Load(t.Context(), session.ID); err != nil || string(got.Data) != `{"name":"Lovelace"}` {
					t.Errorf("with the keyset: %s, %v", got.Data, err)
				}
			}
			if err := store.Invalidate(t.Context(), session.ID); err != nil {
				t.Errorf("Invalidate: %v", err)
			}
		})
	}
}

// Rows written without a key are refused if only sealed data is accepted.
func TestSealedOnly(t *testing.T) {
	t.Parallel()
	cfg := sealing(t, newKeyset(t))
	cfg.SealedOnly = true
	k := setupWith(t, cfg)
	session, pair := k.create(t, sessionstore.CreateParams{Data: []byte(`{"role":"user"}`)})
	if got, _, err := k.Get(t.Context(), string(pair.AccessToken)); err != nil || string(got.Data) != `{"role":"user"}` {
		t.Fatalf("sealed data: %s, %v", got.Data, err)
	}
	k.exec(t, `UPDATE "sessionStore" SET "data" = '{"role":"admin"}' WHERE "id" = $1`, session.ID)
	_, _, get := k.Get(t.Context(), string(pair.AccessToken))
	_, load := k.Load(t.Context(), session.ID)
	for what, err := range map[string]error{"Get": get, "Load": load} {
		sealed, ok := errors.AsType[*sessionstore.SealedError](err)
		if !ok || sealed.SessionID != session.ID || !errors.Is(err, sessionstore.ErrUnavailable) ||
			err.Error() != "session data cannot be used: it is not sealed, and only sealed data is accepted" {
			t.Errorf("%s of data that is not sealed: %v", what, err)
		}
	}
	if _, err := k.RefreshTokens(t.Context(), string(pair.RefreshToken), sessionstore.Client{}); err != nil {
		t.Errorf("a refresh needs no data: %v", err)
	}
	cfg.Sealer = nil
	if _, err := sessionstore.New(k.pool, k.ring, cfg); err == nil || err.Error() != "sessionstore: SealedOnly needs a Sealer" {
		t.Errorf("without a Sealer: %v", err)
	}
}

// Data from before the keyset is read, and sealed when it is next written.
func TestUnsealedDataIsTakenAlong(t *testing.T) {
	t.Parallel()
	k := setup(t)
	const data = `{"a": 1}`
	session, pair := k.create(t, sessionstore.CreateParams{Data: []byte(data)})
	sealed := newStore(t, k.pool, k.ring, sealing(t, newKeyset(t)))
	got, _, err := sealed.Get(t.Context(), string(pair.AccessToken))
	if err != nil || string(got.Data) != data || got.Checksum != session.Checksum {
		t.Fatalf("%s, %q, %v", got.Data, got.Checksum, err)
	}
	if n := sealed.UnsealedReads(); n != 1 {
		t.Errorf("%d unsealed reads were counted", n)
	}
	next, err := sealed.Update(t.Context(), session.ID, session.Checksum, []byte(data))
	if err != nil || next == session.Checksum {
		t.Errorf("the same data, written back: %q, %v", next, err)
	}
	if n := k.count(t, `SELECT count(*) FROM "sessionStore" WHERE jsonb_typeof("data") = 'string' AND "checksum" = $1`, next); n != 1 {
		t.Error("it was not sealed")
	}
	if got, err := sealed.Load(t.Context(), session.ID); err != nil || string(got.Data) != data {
		t.Errorf("%s, %v", got.Data, err)
	}
	if n, none := sealed.UnsealedReads(), k.UnsealedReads(); n != 1 || none != 0 {
		t.Errorf("%d unsealed reads were counted after it was sealed, and %d where nothing is sealed", n, none)
	}
}

// Two replicas, one of which already seals with the new key.
func TestKeysOfSealedDataAreReplaced(t *testing.T) {
	t.Parallel()
	before, after := replaced(t)
	k := setupWith(t, sealing(t, before))
	newer := newStore(t, k.pool, k.ring, sealing(t, after))
	const data = `{"a":1}`
	session, pair := k.create(t, sessionstore.CreateParams{Data: []byte(data)})

	if got, _, err := newer.Get(t.Context(), string(pair.AccessToken)); err != nil || string(got.Data) != data || got.Checksum != session.Checksum {
		t.Fatalf("what the old key sealed, with both keys: %s, %v", got.Data, err)
	}
	next, err := newer.Update(t.Context(), session.ID, session.Checksum, []byte(data))
	if err != nil || next == session.Checksum {
		t.Fatalf("the same data, written back: %q, %v", next, err)
	}
	if _, err := k.Load(t.Context(), session.ID); !errors.Is(err, dataseal.ErrUnknownKey) {
		t.Errorf("what the new key sealed, with the old one: %v", err)
	}

	if _, err := k.Update(t.Context(), session.ID, session.Checksum, []byte(`{"a":2}`)); !errors.Is(err, dataseal.ErrUnknownKey) {
		t.Errorf("what the new key sealed may be what was read: %v", err)
	}

	// A caller that read the data before it was resealed can still update it.
	last, err := newer.Update(t.Context(), session.ID, session.Checksum, []byte(`{"a":2}`))
	if err != nil {
		t.Fatalf("with the checksum under the old key: %v", err)
	}
	_, err = newer.Update(t.Context(), session.ID, next, []byte(`{"a":3}`))
	if conflict, ok := errors.AsType[*sessionstore.ConflictError](err); !ok || conflict.Checksum != last {
		t.Errorf("with the checksum of earlier data: %v", err)
	}
	_, err = newer.Update(t.Context(), session.ID, session.Checksum, []byte(`{"a":3}`))
	if conflict, ok := errors.AsType[*sessionstore.ConflictError](err); !ok || conflict.Checksum != last {
		t.Errorf("with the checksum of earlier data, under the old key: %v", err)
	}
	if got, err := newer.Load(t.Context(), session.ID); err != nil || string(got.Data) != `{"a":2}` {
		t.Errorf("%s, %v", got.Data, err)
	}
}

// No update is lost if each replica seals with a different key.
func TestConcurrentUpdatesOfSealedData(t *testing.T) {
	t.Parallel()
	before, after := replaced(t)
	both, err := dataseal.ParseKeyset(marshalled(t, after))
	if err != nil {
		t.Fatal(err)
	}
	if both, err = both.Promote(before.Keys()[0].ID); err != nil {
		t.Fatal(err)
	}
	k := setupWith(t, sealing(t, both))
	stores := []*sessionstore.Store{k.Store, newStore(t, k.pool, k.ring, sealing(t, after))}
	session, _ := k.create(t, sessionstore.CreateParams{Data: []byte(`{"n":0}`)})
	const workers, each = 4, 10
	var conflicts atomic.Int64
	together(workers, func(worker int) {
		store := stores[worker%len(stores)]
		for range each {
			for {
				err := increment(t.Context(), store, session.ID)
				if err == nil {
					break
				}
				if !errors.Is(err, sessionstore.ErrConflict) {
					t.Error(err)
					return
				}
				conflicts.Add(1)
			}
		}
	})
	got, err := k.Load(t.Context(), session.ID)
	if err != nil || string(got.Data) != `{"n":40}` {
		t.Errorf("%s, %v, after %d conflicts", got.Data, err, conflicts.Load())
	}
}

// increment counts up in the data of a session.
func increment(ctx context.Context, store *sessionstore.Store, id uuid.UUID) error {
	session, err := store.Load(ctx, id)
	if err != nil {
		return err
	}
	var data struct {
		N int `json:"n"`
	}
	if err := json.Unmarshal(session.Data, &data); err != nil {
		return err
	}
	data.N++
	next, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, err = store.Update(ctx, id, session.Checksum, next)
	return err
}

func marshalled(t *testing.T, keys *dataseal.Keyset) []byte {
	t.Helper()
	text, err := keys.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The limit is that of the data, however long it is when it is sealed.
func TestSealedDataMayBeAsLongAsAny(t *testing.T) {
	t.Parallel()
	k := setupWith(t, sealing(t, newKeyset(t)))
	data := []byte(`{"a":"` + strings.Repeat("x", sessionstore.MaxDataBytes-len(`{"a":""}`)) + `"}`)
	session, _ := k.create(t, sessionstore.CreateParams{Data: data})
	if got, err := k.Load(t.Context(), session.ID); err != nil || !bytes.Equal(got.Data, data) {
		t.Errorf("%d bytes, %v", len(got.Data), err)
	}
	if _, err := k.Update(t.Context(), session.ID, session.Checksum, append(data, ' ')); !errors.Is(err, sessionstore.ErrInvalidArgument) {
		t.Errorf("one byte more: %v", err)
	}
}

// A program that starts without a key that others seal with gets an error.
func TestCheckSealer(t *testing.T) {
	t.Parallel()
	before, after := replaced(t)
	k := setup(t)
	k.create(t, sessionstore.CreateParams{})
	stores := map[string]*sessionstore.Store{
		"none": k.Store, "old": newStore(t, k.pool, k.ring, sealing(t, before)), "both": newStore(t, k.pool, k.ring, sealing(t, after)),
	}
	check := func(want map[string]bool) {
		t.Helper()
		for name, ok := range want {
			err := stores[name].CheckSealer(t.Context())
			if sealed, is := errors.AsType[*sessionstore.SealedError](err); is == ok || !is && err != nil || is && sealed.Key == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	check(map[string]bool{"none": true, "old": true, "both": true})
	if _, _, err := stores["old"].Create(t.Context(), sessionstore.CreateParams{}); err != nil {
		t.Fatal(err)
	}
	check(map[string]bool{"none": false, "old": true, "both": true})
	if _, _, err := stores["both"].Create(t.Context(), sessionstore.CreateParams{}); err != nil {
		t.Fatal(err)
	}
	check(map[string]bool{"none": false, "old": false, "both": true})
}

// misnamed is a sealer whose key has a name that would not be found again.
type misnamed struct {
	sessionstore.Sealer
	name string
}

func (m misnamed) Key() string { return m.name }

func TestNamesOfSealingKeys(t *testing.T) {
	t.Parallel()
	k := setup(t)
	cfg := sealing(t, newKeyset(t))
	for _, name := range []string{"", "a:b", `a"b`, "a b", "ä", strings.Repeat("a", 65)} {
		cfg := cfg
		cfg.Sealer = misnamed{cfg.Sealer, name}
		if _, err := sessionstore.New(k.pool, k.ring, cfg); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
