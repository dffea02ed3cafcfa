// Package pgvalue converts Go values to those of PostgreSQL's columns, and back.
package pgvalue

import (
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// UUID is an id as pgx encodes it directly: the library's type would go
// through driver.Valuer and its text, which costs more than all other arguments.
func UUID(id uuid.UUID) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

// Text is for an [Array] of texts that are null if empty.
func Text(s string) pgtype.Text { return pgtype.Text{String: s, Valid: s != ""} }

// Integer is for an [Array] of numbers, whatever type the column has: a value too large
// for it is an error.
func Integer[N int | int64](n N) pgtype.Int8 { return pgtype.Int8{Int64: int64(n), Valid: true} }

// IntegerOrNull is for an [Array] of numbers that are null if zero.
func IntegerOrNull[N int | int64](n N) pgtype.Int8 {
	return pgtype.Int8{Int64: int64(n), Valid: n != 0}
}

// Seconds are a duration's whole seconds.
func Seconds(d time.Duration) int { return int(d / time.Second) }

// OrNull returns a column value that is null for Go's zero value.
func OrNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	there := v // so that only a value that is not null is allocated
	return &there
}

// ThereOrNull is OrNull without a copy: it allocates nothing.
func ThereOrNull[T comparable](v *T) *T {
	var zero T
	if *v == zero {
		return nil
	}
	return v
}

// OrZero is the reverse of OrNull.
func OrZero[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// IsNoRows reports whether a statement had no row to give.
func IsNoRows(err error) bool { return errors.Is(err, pgx.ErrNoRows) }

// Array is an argument of values such as [pgtype.Text] or [pgtype.UUID]. pgx encodes them
// in place; it copies the elements of other slices, each by reflection.
type Array[V any] []V

// Dimensions implements [pgtype.ArrayGetter].
func (a Array[V]) Dimensions() []pgtype.ArrayDimension {
	return []pgtype.ArrayDimension{{Length: int32(len(a)), LowerBound: 1}} //nolint:gosec // one element for each call that shares a statement
}

// Index implements [pgtype.ArrayGetter].
func (a Array[V]) Index(i int) any { return &a[i] }

// IndexType implements [pgtype.ArrayGetter].
func (a Array[V]) IndexType() any { return (*V)(nil) }
