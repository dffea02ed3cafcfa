package sessiontest

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

var updates = []check{
	{"Update/what was read", updateKeeps},
	{"Update/what was changed since", updateConflicts},
	{"Update/nothing new", updateNothing},
	{"Update/what cannot be", updateRefuses},
	{"Update/by many at once", updateTogether},
}

func updateKeeps(k kit) {
	session, pair := k.ann()
	k.advance(k.grace)
	checksum, err := k.store.Update(k.Context(), session.ID, session.Checksum, []byte(`{"n":2}`))
	k.ok("Update", err)
	if checksum == session.Checksum {
		k.Fatalf("Update: other data has the same checksum")
	}
	for how, got := range map[string]sessionstore.Session{"Load": k.load(session.ID), "GetWith": k.use(pair.AccessToken)} {
		k.sameContent(how+", after Update: Data", got.Data, `{"n":2}`)
		same(k, how+", after Update: Checksum", got.Checksum, checksum)
		if !got.UpdatedAt.After(session.UpdatedAt) {
			k.Fatalf("%s, after Update: UpdatedAt is %v, as before", how, got.UpdatedAt)
		}
		k.sameTime(how+", after Update: ExpiresAt", got.ExpiresAt, session.ExpiresAt)
	}
	_, err = k.store.Update(k.Context(), session.ID, checksum, []byte(`{"n":3}`))
	k.ok("Update, with the checksum of the one before", err)
}

func updateConflicts(k kit) {
	session, _ := k.ann()
	other, _ := k.ann()
	checksum, err := k.store.Update(k.Context(), session.ID, session.Checksum, []byte(`{"n":2}`))
	k.ok("Update", err)
	for _, stale := range []string{session.Checksum, "", "x"} {
		got, err := k.store.Update(k.Context(), session.ID, stale, []byte(`{"n":3}`))
		k.want("Update with a checksum that is not that of the data", err, sessionstore.ErrConflict)
		if e, ok := errors.AsType[*sessionstore.ConflictError](err); !ok || e.Checksum != checksum {
			k.Fatalf("Update: the error is %#v, it must be a ConflictError with the checksum of what is stored", err)
		}
		same(k, "the checksum with ErrConflict", got, "")
	}
	k.sameContent("the data after a conflict", k.load(session.ID).Data, `{"n":2}`)
	k.sameContent("another session's data", k.load(other.ID).Data, `{"n":1}`)
}

func updateNothing(k kit) {
	session, _ := k.create(sessionstore.CreateParams{Data: []byte(`{"a":1,"b":[2]}`)})
	k.advance(k.grace)
	checksum, err := k.store.Update(k.Context(), session.ID, session.Checksum, []byte(`{ "b": [2.0], "a": 1 }`))
	k.ok("Update with the same content", err)
	same(k, "the checksum of the same content", checksum, session.Checksum)
}

func updateRefuses(k kit) {
	session, _ := k.ann()
	for _, data := range []string{``, `null`, `[]`, `{"a":1,"a":2}`, `{"a":1e999}x`} {
		_, err := k.store.Update(k.Context(), session.ID, session.Checksum, []byte(data))
		k.wantArgument(fmt.Sprintf("Update with %q", data), err, "data")
	}
	k.sameContent("the data, after Updates that were refused", k.load(session.ID).Data, `{"n":1}`)
	_, err := k.store.Update(k.Context(), uuid.Must(uuid.NewV7()), session.Checksum, []byte(`{"n":2}`))
	k.want("Update of a session that never was", err, sessionstore.ErrNotFound)
	_, err = k.store.Load(k.Context(), uuid.Must(uuid.NewV7()))
	k.want("Load of a session that never was", err, sessionstore.ErrNotFound)
}

// Of several that have read the same data, one
// writes.
func updateTogether(k kit) {
	session, _ := k.ann()
	next := make(chan int, crowd)
	for i := range crowd {
		next <- i + 2
	}
	_, errs := together(k.Context(), func(ctx context.Context) (string, error) {
		return k.store.Update(ctx, session.ID, session.Checksum, fmt.Appendf(nil, `{"n":%d}`, <-next))
	})
	written := 0
	for _, err := range errs {
		if err == nil {
			written++
			continue
		}
		k.want("Update", err, sessionstore.ErrConflict)
	}
	same(k, "how many wrote who had read the same", written, 1)
}
