package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/replay"
	"github.com/latchkey-sessions/latchkey/bench/internal/report"
)

// rareGeneration tells a generation from every other number among a statement's arguments.
const rareGeneration = 777_777_777

// oneRowUpdate is the least that a durable change of a session can be.
const oneRowUpdate = `UPDATE "sessionStoreToken" SET "lateRetries" = 0 WHERE "id" = $1`

// capture makes each operation once, and keeps the statement that it sends.
func (r *rig) capture(ctx context.Context) error {
	config, err := pgxpool.ParseConfig(r.URL)
	if err != nil {
		return err
	}
	config.ConnConfig.Tracer = replay.Tracer{}
	if _, err := r.runStore(ctx, config); err != nil {
		return err
	}
	defer r.stopStore()

	oneRow, err := replay.New(replay.Statement{SQL: oneRowUpdate, Args: []any{uuid.Nil}}, uuid.Nil)
	if err != nil {
		return err
	}
	r.statements = map[string]*replay.Replay{report.OneRow: oneRow}
	for name, one := range map[string]func(context.Context) (values []any, call func(context.Context) error, err error){
		report.Create: r.captureCreate, report.Get: r.captureGet, report.Update: r.captureUpdate,
		report.Refresh: r.captureRefresh, report.Revoke: r.captureRevoke,
	} {
		values, call, err := one(ctx)
		if err != nil {
			return fmt.Errorf("capture %s: %w", name, err)
		}
		statements, err := replay.Capture(ctx, call)
		want := 1
		if name == report.Revoke {
			want = 2 // the session, and then its tokens
		}
		if err != nil || len(statements) != want {
			return fmt.Errorf("capture %s: it sends %d statements, and the bare loop knows %d: %w", name, len(statements), want, err)
		}
		if values == nil { // all ids are made anew
			values = statements[0].IDs()
		}
		if r.statements[name], err = replay.New(statements[0], values...); err != nil {
			return fmt.Errorf("capture %s: %w", name, err)
		}
		for _, next := range statements[1:] {
			if r.statements[name], err = r.statements[name].With(next); err != nil {
				return fmt.Errorf("capture %s: %w", name, err)
			}
		}
	}

	return nil
}

func (r *rig) captureCreate(context.Context) ([]any, func(context.Context) error, error) {
	return nil, func(ctx context.Context) error {
		_, _, err := r.store.Create(ctx, newSession())
		return err
	}, nil
}

func (r *rig) captureGet(context.Context) ([]any, func(context.Context) error, error) {
	s := r.Readers.Next()
	token, err := r.AccessToken(s, 0)

	return []any{r.ID(s), r.AccessRow(s)}, func(ctx context.Context) error {
		_, _, err := r.store.Get(ctx, token)
		return err
	}, err
}

func (r *rig) captureUpdate(context.Context) ([]any, func(context.Context) error, error) {
	s := r.Readers.Next()
	now, next, data := r.Checksums(s)
	s.Other = !s.Other

	return []any{r.ID(s), now, data, next}, func(ctx context.Context) error {
		_, err := r.store.Update(ctx, r.ID(s), now, []byte(data))
		return err
	}, nil
}

func (r *rig) captureRefresh(ctx context.Context) ([]any, func(context.Context) error, error) {
	s := r.Rotating.Next()
	s.Generation = rareGeneration
	if err := r.Do(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `UPDATE "sessionStoreToken" SET "generation" = $2 WHERE "id" = $1`, r.RefreshRow(s), s.Generation)
		return err
	}); err != nil {
		return nil, nil, err
	}
	token, err := r.RefreshToken(s)

	return []any{r.ID(s), r.RefreshRow(s), s.Generation}, func(ctx context.Context) error {
		defer s.Rotate("")
		_, err := r.store.RefreshTokens(ctx, token, population.Client())
		return err
	}, err
}

func (r *rig) captureRevoke(ctx context.Context) ([]any, func(context.Context) error, error) {
	ids, err := r.Add(ctx, 1)

	return []any{ids[0]}, func(ctx context.Context) error { return r.store.Invalidate(ctx, ids[0]) }, err
}
