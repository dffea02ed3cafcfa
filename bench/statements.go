package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// rareGeneration tells a generation from every other number among a statement's arguments.
const rareGeneration = 777_777_777

// statements are those of the store's operations, to be sent without the store.
type statements struct {
	// create has as many values as ids are made for a session.
	create    *replay.Replay
	createIDs int
	get       *replay.Replay // session id, row of the access token
	refresh   *replay.Replay // session id, row of the refresh token, generation
	update    *replay.Replay // session id, its checksum, the next data, the next checksum
	revoke    *replay.Replay // session id
	oneRow    *replay.Replay // row of the refresh token
}

// oneRowUpdate is the least that a durable change of a session can be.
const oneRowUpdate = `UPDATE "sessionStoreToken" SET "lateRetries" = 0 WHERE "id" = $1`

// capture makes each operation once, and keeps what it sends.
func capture(ctx context.Context, p *population.Population) (statements, error) {
	config, err := pgxpool.ParseConfig(p.URL)
	if err != nil {
		return statements{}, err
	}
	config.ConnConfig.Tracer = replay.Tracer{}
	store, pool, stop, err := runStore(ctx, p, config)
	if err != nil {
		return statements{}, err
	}
	defer stop()

	var s statements
	for _, one := range []struct {
		name string
		of   func(context.Context, *capturing) error
	}{
		{"create", s.captureCreate},
		{"get", s.captureGet},
		{"update", s.captureUpdate},
		{"refresh", s.captureRefresh},
		{"revoke", s.captureRevoke},
	} {
		if err := one.of(ctx, &capturing{store: store, pool: pool, population: p}); err != nil {
			return s, fmt.Errorf("capture %s: %w", one.name, err)
		}
	}
	s.oneRow, err = replay.New(replay.Statement{SQL: oneRowUpdate, Args: []any{uuid.Nil}}, uuid.Nil)

	return s, err
}

type capturing struct {
	store      *sessionstore.Store
	pool       *pgxpool.Pool
	population *population.Population
}

// one captures a call that is expected to send one statement.
func one(ctx context.Context, call func(context.Context) error) (replay.Statement, error) {
	all, err := replay.Capture(ctx, call)
	if err != nil {
		return replay.Statement{}, err
	}
	if len(all) != 1 {
		return replay.Statement{}, fmt.Errorf("it sends %d statements, and the bare loop knows only one", len(all))
	}

	return all[0], nil
}

func (s *statements) captureCreate(ctx context.Context, c *capturing) error {
	statement, err := one(ctx, func(ctx context.Context) error {
		_, _, err := c.store.Create(ctx, newSession())
		return err
	})
	if err != nil {
		return err
	}
	ids := statement.IDs()
	s.createIDs = len(ids)
	s.create, err = replay.New(statement, ids...)

	return err
}

func (s *statements) captureGet(ctx context.Context, c *capturing) error {
	session := c.population.Readers.Next()
	token, err := c.population.AccessToken(session, 0)
	if err != nil {
		return err
	}
	statement, err := one(ctx, func(ctx context.Context) error {
		_, _, err := c.store.Get(ctx, token)
		return err
	})
	if err != nil {
		return err
	}
	s.get, err = replay.New(statement, c.population.ID(session), c.population.AccessRow(session))

	return err
}

func (s *statements) captureUpdate(ctx context.Context, c *capturing) error {
	session := c.population.Readers.Next()
	now, next, data := c.population.Checksums(session)
	statement, err := one(ctx, func(ctx context.Context) error {
		_, err := c.store.Update(ctx, c.population.ID(session), now, []byte(data))
		return err
	})
	if err != nil {
		return err
	}
	session.Other = !session.Other
	s.update, err = replay.New(statement, c.population.ID(session), now, data, next)

	return err
}

func (s *statements) captureRefresh(ctx context.Context, c *capturing) error {
	session := c.population.Rotating.Next()
	session.Generation = rareGeneration
	if _, err := c.pool.Exec(ctx, `UPDATE "sessionStoreToken" SET "generation" = $2 WHERE "id" = $1`,
		c.population.RefreshRow(session), session.Generation); err != nil {
		return err
	}
	token, err := c.population.RefreshToken(session)
	if err != nil {
		return err
	}
	statement, err := one(ctx, func(ctx context.Context) error {
		_, err := c.store.RefreshTokens(ctx, token, population.Client())
		return err
	})
	if err != nil {
		return err
	}
	s.refresh, err = replay.New(statement, c.population.ID(session), c.population.RefreshRow(session), session.Generation)
	session.Rotate("")

	return err
}

func (s *statements) captureRevoke(ctx context.Context, c *capturing) error {
	conn, err := pgx.Connect(ctx, c.population.URL)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }() // whatever it did is committed
	ids, err := c.population.Add(ctx, conn, 1)
	if err != nil {
		return err
	}
	all, err := replay.Capture(ctx, func(ctx context.Context) error { return c.store.Invalidate(ctx, ids[0]) })
	if err != nil {
		return err
	}
	if len(all) != 2 {
		return fmt.Errorf("a revocation is %d statements, and the bare loop knows it as a session's and its tokens'", len(all))
	}
	first, err := replay.New(all[0], ids[0])
	if err != nil {
		return err
	}
	s.revoke, err = first.With(all[1])

	return err
}

// newSession is what each created session begins with.
func newSession() sessionstore.CreateParams {
	return sessionstore.CreateParams{Subject: "user-of-the-benchmark", Data: []byte(population.Data), Client: population.Client()}
}
