package sessiontest

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

var creations = []check{
	{"Create/what it is given", createKeeps},
	{"Create/nothing", createNothing},
	{"Create/what cannot be", createRefuses},
	{"Create/lifetimes of its own", createLifetimes},
	{"Create/without a refresh token", createNoRefresh},
	{"Create/idempotency key", createOnce},
	{"Create/idempotency key, at once", createOnceTogether},
	{"Create/data is the caller's", dataIsCallers},
}

func createKeeps(k kit) {
	authentication := &tokens.Authentication{AuthTime: time.Unix(1_700_000_000, 0), ACR: "phr", AMR: []string{"hwk"}}
	made, pair := k.create(sessionstore.CreateParams{
		Subject: "ann", Data: []byte(`{"n": 12345678901234567890, "a": ["ü"]}`), Claims: []byte(`{"role":"editor"}`),
		Authentication: authentication, Actor: &tokens.Actor{Subject: "support"}, Cookie: "__Host-shop",
		Client: sessionstore.Client{Label: "phone", UserAgent: "suite/1", IP: "[2001:db8::1]:443"},
	})
	used, claims, err := k.get(pair.AccessToken, sessionstore.GetOptions{})
	k.ok("GetWith", err)
	for how, got := range map[string]sessionstore.Session{"Create": made, "GetWith": used, "Load": k.load(made.ID)} {
		same(k, how+": ID", got.ID, made.ID)
		same(k, how+": Subject", got.Subject, "ann")
		k.sameContent(how+": Data", got.Data, `{"a":["ü"],"n":12345678901234567890}`)
		k.sameContent(how+": Claims", bytes.Clone(got.Claims), `{"role":"editor"}`)
		same(k, how+": Client", got.Client, sessionstore.Client{Label: "phone", UserAgent: "suite/1", IP: "2001:db8::1"})
		same(k, how+": LastClient", got.LastClient, sessionstore.Client{})
		if a := got.Authentication; a == nil || !a.AuthTime.Equal(authentication.AuthTime) || a.ACR != "phr" || len(a.AMR) != 1 || a.AMR[0] != "hwk" {
			k.Fatalf("%s: Authentication: %+v", how, a)
		}
		if got.Actor == nil || got.Actor.Subject != "support" {
			k.Fatalf("%s: Actor: %+v", how, got.Actor)
		}
		same(k, how+": Cookie", got.Cookie, "__Host-shop")
		k.sameTime(how+": UpdatedAt", got.UpdatedAt, got.CreatedAt)
		k.sameTime(how+": ExpiresAt", got.ExpiresAt, pair.RefreshTokenExpiresAt)
		k.sameTime(how+": RefreshedAt", got.RefreshedAt, time.Time{})
		k.sameTime(how+": RevokedAt", got.RevokedAt, time.Time{})
		same(k, how+": Ended", got.Ended, sessionstore.Ending{})
	}
	same(k, "GetWith: Checksum", used.Checksum, made.Checksum)
	same(k, "Load: Checksum", k.load(made.ID).Checksum, made.Checksum)
	same(k, "the claims' session", claims.SessionID, made.ID)
	same(k, "the claims' subject", claims.Subject, "ann")
	same(k, "the claims' client", claims.ClientID, made.ClientID)
	same(k, "the claims' cookie", claims.Cookie, "__Host-shop")
	same(k, "the claims' type", claims.Type, tokens.AccessToken)
	var own struct {
		Role string `json:"role"`
	}
	k.ok("Claims.Decode", claims.Decode(&own))
	same(k, "the claims' role", own.Role, "editor")
	if claims.Actor == nil || claims.Authentication == nil {
		k.Fatalf("the access token does not say how its user authenticated, or who acts for them")
	}
	if pair.AccessToken == pair.RefreshToken || pair.ExpiresIn() <= 0 || pair.RefreshExpiresIn() <= pair.ExpiresIn() {
		k.Fatalf("the pair lasts for %v and %v", pair.ExpiresIn(), pair.RefreshExpiresIn())
	}
}

func createNothing(k kit) {
	made, pair := k.create(sessionstore.CreateParams{})
	k.sameContent("the data of a session without any", made.Data, `{}`)
	got := k.use(pair.AccessToken)
	k.sameContent("the data of a session without any", got.Data, `{}`)
	same(k, "Subject", got.Subject, "")
	same(k, "Claims", string(got.Claims), "")
	other, _ := k.create(sessionstore.CreateParams{})
	if other.ID == made.ID {
		k.Fatalf("two sessions have the id %v", made.ID)
	}
}

func createRefuses(k kit) {
	for field, params := range map[string]sessionstore.CreateParams{
		"subject":           {Subject: strings.Repeat("a", 256)},
		"data":              {Data: []byte(`[]`)},
		"claims":            {Claims: []byte(`{"sub":"bob"}`)},
		"client_id":         {ClientID: "no such client"},
		"dpop_jkt":          {KeyThumbprint: "no thumbprint"},
		"session_ttl":       {Lifetimes: sessionstore.Lifetimes{Session: time.Millisecond}},
		"refresh_token_ttl": {Lifetimes: sessionstore.Lifetimes{RefreshToken: time.Second}},
		"idempotency_key":   {IdempotencyKey: strings.Repeat("a", 1025)},
	} {
		session, pair, err := k.store.Create(k.Context(), params)
		k.wantArgument("Create with a bad "+field, err, field)
		if session.ID != uuid.Nil || pair != (sessionstore.TokenPair{}) {
			k.Fatalf("Create with a bad %s: a session with the error", field)
		}
	}
}

func createLifetimes(k kit) {
	own := k.short()
	own.Session = own.RefreshToken + time.Second
	session, pair := k.create(sessionstore.CreateParams{Lifetimes: own})
	k.sameTime("the access token's end", pair.AccessTokenExpiresAt, session.CreatedAt.Add(own.AccessToken))
	k.sameTime("the refresh token's end", pair.RefreshTokenExpiresAt, session.CreatedAt.Add(own.RefreshToken))
	same(k, "ExpiresIn", pair.ExpiresIn(), own.AccessToken)

	own.Session = own.AccessToken + time.Second
	session, pair = k.create(sessionstore.CreateParams{Lifetimes: own})
	k.sameTime("the end of a refresh token that would outlive its session", pair.RefreshTokenExpiresAt, session.CreatedAt.Add(own.Session))
	k.sameTime("the end of that session", k.load(session.ID).ExpiresAt, session.CreatedAt.Add(own.Session))
}

func createNoRefresh(k kit) {
	access := k.short().AccessToken
	session, pair := k.create(sessionstore.CreateParams{NoRefresh: true, Lifetimes: sessionstore.Lifetimes{AccessToken: access}})
	same(k, "the refresh token of a session without", pair.RefreshToken, "")
	k.sameTime("its end", pair.RefreshTokenExpiresAt, time.Time{})
	k.sameTime("the end of its session", session.ExpiresAt, pair.AccessTokenExpiresAt)
	k.lives(session.ID, pair)
	k.advance(access)
	k.unusable(pair.AccessToken, sessionstore.ErrEnded)
}

func createOnce(k kit) {
	params := sessionstore.CreateParams{Subject: "ann", Data: []byte(`{"a":1,"b":2}`), IdempotencyKey: "sign-in 1"}
	session, pair := k.create(params)
	params.Data = []byte(`{"b":2, "a":1.0}`)
	again, same1 := k.create(params)
	same(k, "the session of a creation that is sent again", again.ID, session.ID)
	same(k, "its refresh token", same1.RefreshToken, pair.RefreshToken)
	same(k, "its access token", same1.AccessToken, pair.AccessToken)

	other := params
	if k.keysOfSubject {
		other.Data = []byte(`{"a":2}`)
	} else {
		other.Subject = "bob"
	}
	_, _, err := k.store.Create(k.Context(), other)
	k.want("Create with the key of another creation", err, sessionstore.ErrIdempotencyKeyReused)
	other.IdempotencyKey = "sign-in 2"
	if bobs, _ := k.create(other); bobs.ID == session.ID {
		k.Fatalf("two keys gave one session")
	}

	newest := k.refresh(pair.RefreshToken, sessionstore.Rotated)
	_, present := k.create(params)
	same(k, "the refresh token of a creation that is sent again after a refresh", present.RefreshToken, newest.RefreshToken)
	k.ok("Invalidate", k.store.Invalidate(k.Context(), session.ID))
	_, _, err = k.store.Create(k.Context(), params)
	k.want("Create with the key of a session that has ended", err, sessionstore.ErrEnded)
}

func createOnceTogether(k kit) {
	params := sessionstore.CreateParams{Subject: "ann", IdempotencyKey: "sign-in"}
	ids, errs := together(k.Context(), func(ctx context.Context) (uuid.UUID, error) {
		session, _, err := k.store.Create(ctx, params)
		return session.ID, err
	})
	for i := range ids {
		k.ok("Create", errs[i])
		same(k, "the session of creations with one key", ids[i], ids[0])
	}
}

func dataIsCallers(k kit) {
	data := []byte(`{"n":1}`)
	session, pair := k.create(sessionstore.CreateParams{Data: data})
	spoil := func(data []byte) {
		for i := range data {
			data[i] = '!'
		}
	}
	spoil(data)
	spoil(session.Data)
	spoil(k.load(session.ID).Data)
	spoil(k.use(pair.AccessToken).Data)
	k.sameContent("the data, after callers wrote to their slices", k.load(session.ID).Data, `{"n":1}`)
	data = []byte(`{"n":2}`)
	_, err := k.store.Update(k.Context(), session.ID, k.load(session.ID).Checksum, data)
	k.ok("Update", err)
	spoil(data)
	k.sameContent("the data, after the caller of Update wrote to their slice", k.load(session.ID).Data, `{"n":2}`)
}

// crowd is how many callers do the same at once.
const crowd = 8

// together calls do at once, several times.
func together[V any](ctx context.Context, do func(context.Context) (V, error)) ([]V, []error) {
	values, errs := make([]V, crowd), make([]error, crowd)
	start := make(chan struct{})
	var callers sync.WaitGroup
	for i := range crowd {
		callers.Go(func() {
			<-start
			values[i], errs[i] = do(ctx)
		})
	}
	close(start)
	callers.Wait()
	return values, errs
}
