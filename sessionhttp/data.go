package sessionhttp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// DataError says that a session's data does not fit the manager's type: the stored data does
// not decode into it, or what a handler made of it does not encode. Its text names the member,
// if it is known, and quotes no data.
type DataError struct {
	// Reason is the error of encoding/json.
	Reason error
	doing  string
}

// Error omits the reason, which may quote the data.
func (e *DataError) Error() string {
	if errors.Is(e.Reason, errNoObject) {
		return e.doing + " the session data failed: it is not a JSON object"
	}
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](e.Reason); ok {
		return fmt.Sprintf("%s the session data failed: the member %q does not fit a %s", e.doing, mismatch.Field, mismatch.Type)
	}
	return e.doing + " the session data failed"
}

// Unwrap returns the reason.
func (e *DataError) Unwrap() error { return e.Reason }

// version is the data at one point in time. It never changes: every reader gets a
// separate copy.
type version[T any] struct {
	data     []byte
	checksum string            // of the stored data; empty until it is stored
	decoded  atomic.Pointer[T] // one copy that no reader has yet
}

// read returns a copy of the data.
func (v *version[T]) read() (T, error) {
	if first := v.decoded.Swap(nil); first != nil {
		return *first, nil
	}
	return decode[T](v.data)
}

// change returns the version that f turns this one into, which may be the same.
func (v *version[T]) change(f func(*T) error) (*version[T], error) {
	value, err := decode[T](v.data)
	if err != nil {
		return nil, err
	}
	before, err := encode(value)
	if err != nil {
		return nil, err
	}
	if err := f(&value); err != nil {
		return nil, err
	}
	after, err := encode(value)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(before, after) {
		return v, nil
	}
	return written[T](after)
}

// written is the version that has the encoded data, after checking that it is an object that
// decodes: a session with any other data would become unusable.
func written[T any](data []byte) (*version[T], error) {
	if data[0] != '{' {
		return nil, &DataError{errNoObject, "encoding"}
	}
	value, err := decode[T](data)
	if err != nil {
		return nil, err
	}
	v := &version[T]{data: data}
	v.decoded.Store(&value)
	return v, nil
}

// errNoObject is the reason of a DataError.
var errNoObject = errors.New("not a JSON object")

func encode[T any](value T) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, &DataError{err, "encoding"}
	}
	return data, nil
}

func decode[T any](data []byte) (T, error) {
	var value T
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber() // keeps the digits of numbers in an any
	if err := decoder.Decode(&value); err != nil {
		return value, &DataError{err, "decoding"}
	}
	return value, nil
}

// open decodes what was loaded, repaired if necessary.
func (m *Manager[T]) open(ctx context.Context, info sessionstore.Session) (*version[T], error) {
	value, err := decode[T](info.Data)
	if err == nil {
		v := &version[T]{data: info.Data, checksum: info.Checksum}
		v.decoded.Store(&value)
		return v, nil
	}
	m.cfg.Logger.ErrorContext(ctx, "the stored session data does not decode",
		"session_id", info.ID.String(), "type", fmt.Sprintf("%T", value), "error", err.Error())
	if m.cfg.Repair == nil {
		return nil, err
	}
	ctx, cancel := m.saving(ctx)
	defer cancel()
	return m.repair(ctx, info, err)
}

// repair stores what [Config.Repair] returns for the data, unless another request was faster.
func (m *Manager[T]) repair(ctx context.Context, info sessionstore.Session, reason error) (*version[T], error) {
	data, err := m.cfg.Repair(ctx, info, errors.Unwrap(reason))
	if errors.Is(err, sessionstore.ErrEnded) {
		if err := m.end(ctx, info.ID, sessionstore.Cause{}); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, err
	}
	if _, err := decode[T](data); err != nil {
		return nil, err
	}
	checksum, err := m.store.Update(ctx, info.ID, info.Checksum, data)
	if errors.Is(err, sessionstore.ErrConflict) {
		if info, err = m.store.Load(ctx, info.ID); err != nil {
			return nil, err
		}
		data, checksum = info.Data, info.Checksum
	}
	if err != nil {
		return nil, err
	}
	value, err := decode[T](data)
	if err != nil {
		return nil, err
	}
	v := &version[T]{data: data, checksum: checksum}
	v.decoded.Store(&value)
	return v, nil
}
