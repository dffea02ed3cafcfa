package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

const (
	// updateTime limits an update whose context has no deadline.
	updateTime = 30 * time.Second
	// patience limits how long a change waits after a conflict, so that one of many gets
	// through.
	patience = 20 * time.Millisecond
)

// Decode reads the data or the claims of a session. The digits of a number are kept if T
// has a [json.Number] or an any.
func Decode[T any](text json.RawMessage) (T, error) {
	var value T
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		// The error of encoding/json may quote the data.
		if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return *new(T), fmt.Errorf("the member %q does not fit a %s", mismatch.Field, mismatch.Type)
		}
		return *new(T), fmt.Errorf("the JSON does not decode into a %T", value)
	}
	return value, nil
}

// Get is [Client.Session] with its data as a T.
func Get[T any](ctx context.Context, c *Client, id uuid.UUID) (Session, T, error) {
	session, err := c.Session(ctx, id)
	if err != nil {
		return Session{}, *new(T), err
	}
	if session.Checksum == "" {
		return Session{}, *new(T), fmt.Errorf("the session has no data to be read: %w: read-data", ErrMissingRight)
	}
	data, err := Decode[T](session.Data)
	if err != nil {
		return Session{}, *new(T), fmt.Errorf("the session data: %w", err)
	}
	return session, data, nil
}

// Update changes a session's data and returns the result. If it is changed concurrently, it is read
// and changed again, until that succeeds or the context ends: change may be called several times,
// each time with the present data. Its error ends the update and is returned. Members that T does
// not have are lost.
//
// It needs the rights read, read-data and write-data. Errors are those of [Client.PutSessionData].
// After [ErrUnavailable] the data may have been changed.
func Update[T any](ctx context.Context, c *Client, id uuid.UUID, change func(*T) error) (T, error) {
	return update(ctx, change, func(ctx context.Context) (T, Checksum, error) {
		session, data, err := Get[T](ctx, c, id)
		return data, session.Checksum, err
	}, func(ctx context.Context, checksum Checksum, data json.RawMessage) error {
		_, err := c.PutSessionData(ctx, id, checksum, data)
		return err
	})
}

// UpdateClaims is [Update] for a session's claims: see [Client.PutSessionClaims]. It needs the
// rights read and create.
func UpdateClaims[T any](ctx context.Context, c *Client, id uuid.UUID, supersede bool, change func(*T) error) (T, error) {
	return update(ctx, change, func(ctx context.Context) (T, Checksum, error) {
		text, checksum, err := c.SessionClaims(ctx, id)
		if err != nil {
			return *new(T), "", err
		}
		claims, err := Decode[T](text)
		if err != nil {
			return *new(T), "", fmt.Errorf("the session's claims: %w", err)
		}
		return claims, checksum, nil
	}, func(ctx context.Context, checksum Checksum, claims json.RawMessage) error {
		_, err := c.PutSessionClaims(ctx, id, checksum, claims, supersede)
		return err
	})
}

func update[T any](ctx context.Context, change func(*T) error,
	read func(context.Context) (T, Checksum, error), write func(context.Context, Checksum, json.RawMessage) error,
) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, updateTime)
	defer cancel()
	var conflict error
	// A conflict that took all the time is not an outage.
	failed := func(err error) (T, error) {
		if conflict != nil && ctx.Err() != nil {
			err = conflict
		}
		return *new(T), err
	}
	for {
		value, checksum, err := read(ctx)
		if err != nil {
			return failed(err)
		}
		if err := change(&value); err != nil {
			return *new(T), err
		}
		text, err := json.Marshal(value)
		if err != nil {
			return *new(T), fmt.Errorf("%w: a %T does not encode as JSON", ErrInvalidArgument, value)
		}
		err = write(ctx, checksum, text)
		if err == nil {
			return value, nil
		}
		if !errors.Is(err, ErrConflict) {
			return failed(err)
		}
		conflict = err
		select {
		case <-time.After(rand.N(patience)): //nolint:gosec // not a secret
		case <-ctx.Done():
			return *new(T), conflict
		}
	}
}
