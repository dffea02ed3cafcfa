package sessiontest

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var replacements = []check{
	{"Replace/a new session", replaceKeeps},
	{"Replace/with data of its own", replaceGives},
	{"Replace/what was changed since", replaceConflicts},
	{"Replace/again", replaceAgain},
	{"Replace/what cannot be", replaceRefuses},
	{"Replace/by many at once", replaceTogether},
}

// replacedBy is the ending of a session that another replaces.
func replacedBy(id uuid.UUID) sessionstore.Cause {
	return sessionstore.Cause{Reason: sessionstore.ReasonReplaced, By: id.String()}
}

func (k kit) replace(was sessionstore.Replaced, params sessionstore.CreateParams) (sessionstore.Session, sessionstore.TokenPair) {
	k.Helper()
	session, pair, err := k.store.Replace(k.Context(), was, params)
	k.ok("Replace", err)
	return session, pair
}

func replaceKeeps(k kit) {
	old, before := k.create(sessionstore.CreateParams{
		Subject: "ann", Data: []byte(`{"n":1}`), Claims: []byte(`{"role":"guest"}`), Client: sessionstore.Client{Label: "phone", UserAgent: "suite/1"},
	})
	session, pair := k.replace(sessionstore.Replaced{SessionID: old.ID, Checksum: old.Checksum}, sessionstore.CreateParams{Claims: []byte(`{"role":"editor"}`)})
	if session.ID == old.ID {
		k.Fatalf("Replace: the session has the id of the one before")
	}
	for how, got := range map[string]sessionstore.Session{"Replace": session, "Load": k.load(session.ID), "GetWith": k.use(pair.AccessToken)} {
		same(k, how+": ID", got.ID, session.ID)
		same(k, how+": Subject", got.Subject, "ann")
		k.sameContent(how+": Data", got.Data, `{"n":1}`)
		k.sameContent(how+": Claims", got.Claims, `{"role":"editor"}`)
		same(k, how+": Client", got.Client, sessionstore.Client{Label: "phone"})
	}
	k.ended(old.ID, before, replacedBy(session.ID))
	k.lives(session.ID, k.refresh(pair.RefreshToken, sessionstore.Rotated))
	k.advance(2 * k.grace)
	k.ended(old.ID, before, replacedBy(session.ID)) // using its tokens is not a theft
}

func replaceGives(k kit) {
	old, before := k.create(sessionstore.CreateParams{Data: []byte(`{"n":1}`)}) // a guest
	session, pair := k.replace(sessionstore.Replaced{Token: string(before.RefreshToken)}, sessionstore.CreateParams{Subject: "ann", Data: []byte(`{}`)})
	same(k, "Subject", session.Subject, "ann")
	k.sameContent("the data of a replacement that gives {}", k.load(session.ID).Data, `{}`)
	k.lives(session.ID, pair)
	k.ended(old.ID, before, replacedBy(session.ID))
}

func replaceConflicts(k kit) {
	old, pair := k.ann()
	checksum, err := k.store.Update(k.Context(), old.ID, old.Checksum, []byte(`{"n":2}`))
	k.ok("Update", err)
	_, _, err = k.store.Replace(k.Context(), sessionstore.Replaced{SessionID: old.ID, Checksum: old.Checksum}, sessionstore.CreateParams{})
	k.want("Replace of a session whose data was changed", err, sessionstore.ErrConflict)
	k.lives(old.ID, pair)
	session, _ := k.replace(sessionstore.Replaced{SessionID: old.ID, Checksum: checksum}, sessionstore.CreateParams{})
	k.sameContent("Data", session.Data, `{"n":2}`)
}

// The answer may have been lost.
func replaceAgain(k kit) {
	old, _ := k.ann()
	was, params := sessionstore.Replaced{SessionID: old.ID}, sessionstore.CreateParams{Claims: []byte(`{"role":"editor"}`)}
	session, pair := k.replace(was, params)
	again, samePair := k.replace(was, params)
	same(k, "the session of a replacement that is sent again", again.ID, session.ID)
	k.samePair(samePair, pair)
	_, _, err := k.store.Replace(k.Context(), was, sessionstore.CreateParams{})
	k.want("another Replace of a session that was replaced", err, sessionstore.ErrNotReplaceable)
	k.advance(freshGraces * k.grace)
	_, _, err = k.store.Replace(k.Context(), was, params)
	k.want("Replace, sent again after three graces", err, sessionstore.ErrNotReplaceable)
	k.lives(session.ID, pair)

	params.IdempotencyKey = "sign-in"
	next, _ := k.replace(sessionstore.Replaced{SessionID: session.ID}, params)
	k.advance(freshGraces * k.grace)
	again, _ = k.replace(sessionstore.Replaced{SessionID: session.ID}, params)
	same(k, "the session of a replacement with a key that is sent again", again.ID, next.ID)
}

func replaceRefuses(k kit) {
	session, pair := k.ann()
	k.ok("Invalidate", k.store.Invalidate(k.Context(), session.ID))
	for _, was := range []sessionstore.Replaced{{SessionID: session.ID}, {Token: string(pair.AccessToken)}, {SessionID: uuid.Must(uuid.NewV7())}} {
		_, _, err := k.store.Replace(k.Context(), was, sessionstore.CreateParams{})
		k.want("Replace of a session that has ended, or never was", err, sessionstore.ErrNotReplaceable)
	}
	live, others := k.ann()
	for _, was := range []sessionstore.Replaced{{}, {Token: "x"}, {Token: string(forged(others.AccessToken))}, {Token: string(others.AccessToken), SessionID: session.ID}} {
		_, _, err := k.store.Replace(k.Context(), was, sessionstore.CreateParams{})
		k.wantArgument("Replace of nothing that can be told", err, "replaces")
	}
	_, _, err := k.store.Replace(k.Context(), sessionstore.Replaced{SessionID: live.ID}, sessionstore.CreateParams{Data: []byte(`[]`)})
	k.wantArgument("Replace with bad data", err, "data")
	k.lives(live.ID, others)

	old, before := k.create(sessionstore.CreateParams{Lifetimes: k.short()})
	k.advance(k.short().AccessToken)
	_, _, err = k.store.Replace(k.Context(), sessionstore.Replaced{Token: string(before.AccessToken)}, sessionstore.CreateParams{})
	k.wantArgument("Replace by a token that has expired", err, "replaces")
	k.replace(sessionstore.Replaced{SessionID: old.ID}, sessionstore.CreateParams{})
}

// Of several different replacements of a session, one succeeds.
func replaceTogether(k kit) {
	old, before := k.ann()
	next := make(chan int, crowd)
	for i := range crowd {
		next <- i
	}
	type made struct {
		session sessionstore.Session
		access  tokens.Secret
	}
	got, errs := together(k.Context(), func(ctx context.Context) (made, error) {
		session, pair, err := k.store.Replace(ctx, sessionstore.Replaced{SessionID: old.ID}, sessionstore.CreateParams{Data: fmt.Appendf(nil, `{"n":%d}`, <-next)})
		return made{session, pair.AccessToken}, err
	})
	replaced := 0
	for i, err := range errs {
		if err != nil {
			k.want("Replace", err, sessionstore.ErrNotReplaceable)
			continue
		}
		replaced++
		k.use(got[i].access)
		k.ended(old.ID, before, replacedBy(got[i].session.ID))
	}
	same(k, "how many have replaced the session", replaced, 1)
}
