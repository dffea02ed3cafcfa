package frameworks_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"

	"github.com/google/uuid"

	"github.com/latchkey-sessions/latchkey/internal/testdb"
	"github.com/latchkey-sessions/latchkey/sessionhttp"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

const issuer = "https://id.example.com/auth"

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// errHandler is what a handler fails with.
var errHandler = errors.New("the handler fails")

// tally is the sessions' data.
type tally struct {
	Count int `json:"count"`
}

// added is what a client requests, in each framework's own binding.
type added struct {
	N int `json:"n" binding:"required"`
}

// app is what the programs in all frameworks have in common: one session, and what their
// handlers do with it.
type app struct {
	t        *testing.T
	store    *sessionstore.Store
	ring     *tokens.KeyRing
	sessions *sessionhttp.Manager[tally]
	id       uuid.UUID
	pair     sessionstore.TokenPair

	arrived chan struct{} // a handler has changed the session, and waits
	gone    chan struct{} // its client has left
	late    chan error    // of the change that a handler makes after its deadline
}

func setup(t *testing.T, cfg sessionhttp.Config) *app {
	t.Helper()
	jwk, _, err := tokens.GenerateKey("EdDSA")
	if err != nil {
		t.Fatal(err)
	}
	ring, err := tokens.ParseKeyRing([]byte(`{"keys":[` + string(jwk) + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	store, err := sessionstore.New(testdb.Pool(t), ring, sessionstore.Config{
		Tokens: tokens.Config{Issuer: issuer, Audience: "https://api.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	session, pair, err := store.Create(t.Context(), sessionstore.CreateParams{Subject: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Logger = slog.New(slog.DiscardHandler)
	return &app{
		t: t, store: store, ring: ring, sessions: sessionhttp.New[tally](store, cfg), id: session.ID, pair: pair,
		arrived: make(chan struct{}), gone: make(chan struct{}), late: make(chan error, 1),
	}
}

// stored is the data in the database.
func (a *app) stored() string {
	a.t.Helper()
	session, err := a.store.Load(context.WithoutCancel(a.t.Context()), a.id)
	if err != nil {
		a.t.Error(err)
	}
	return string(session.Data)
}

func (a *app) count(ctx context.Context) int { return a.sessions.From(ctx).Read().Count }

func (a *app) add(ctx context.Context, n int) error {
	return a.sessions.From(ctx).Update(ctx, func(t *tally) error { t.Count += n; return nil })
}

// conflict makes a change that is valid only for the present count, which another
// request then changes before the response begins.
func (a *app) conflict(ctx context.Context) error {
	seen := a.count(ctx)
	err := a.sessions.From(ctx).Update(ctx, func(t *tally) error {
		if t.Count != seen {
			return errors.New("the count has changed")
		}
		t.Count++
		return nil
	})
	if err != nil {
		return err
	}
	session, err := a.store.Load(ctx, a.id)
	if err != nil {
		return err
	}
	_, err = a.store.Update(ctx, a.id, session.Checksum, []byte(`{"count":50}`))
	return err
}

// fail changes the session and returns an error.
func (a *app) fail(ctx context.Context) error {
	if err := a.add(ctx, 1); err != nil {
		return err
	}
	return errHandler
}

// panic changes the session and panics.
func (a *app) panic(ctx context.Context) {
	if err := a.add(ctx, 1); err != nil {
		a.t.Error(err)
	}
	panic(errHandler)
}

// slow changes the session, and again after its deadline.
func (a *app) slow(ctx context.Context) error {
	if err := a.add(ctx, 1); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// want fails the test unless the database has this.
func (a *app) want(data string) {
	a.t.Helper()
	if got := a.stored(); got != data {
		a.t.Errorf("%s is stored, not %s", got, data)
	}
}

// leave changes the session, and answers when the client has left.
func (a *app) leave(ctx context.Context) error {
	err := a.add(ctx, 1)
	a.arrived <- struct{}{}
	<-a.gone
	return err
}
