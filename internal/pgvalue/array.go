package pgvalue

import "github.com/jackc/pgx/v5/pgtype"

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
