package replay

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// Replay is a statement in which some arguments are to be replaced at each call.
type Replay struct {
	sql  string
	args []any
	// slots says for each argument which value takes its place; -1: it stays.
	slots  []int
	values int
	next   string // goes with it, in the same transaction and round trip
}

// New prepares a statement. The values are those of its arguments that later calls bring their own of, in that order:
// each has to be among the arguments, and may be so several times.
func New(statement Statement, values ...any) (*Replay, error) {
	r := &Replay{sql: statement.SQL, args: statement.Args, slots: make([]int, len(statement.Args)), values: len(values)}
	found := make([]bool, len(values))
	for i, arg := range statement.Args {
		r.slots[i] = -1
		for j, value := range values {
			if same(arg, value) {
				r.slots[i], found[j] = j, true
			}
		}
	}
	for j := range found {
		if !found[j] {
			return nil, fmt.Errorf("value %d (%v) is not among the arguments of %s", j+1, values[j], statement.SQL)
		}
	}

	return r, nil
}

// same compares an argument with a value, in whatever form the packages hand it to the driver.
func same(arg, value any) bool {
	if want, ok := value.(uuid.UUID); ok {
		id, is := asID(arg)
		return is && id == want
	}
	v := reflect.ValueOf(arg)
	for v.IsValid() && v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return false
		}
		v = v.Elem()
	}
	if !v.IsValid() {
		return false
	}
	if text, ok := value.(string); ok && v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8 {
		return string(v.Bytes()) == text
	}

	return v.Comparable() && v.Interface() == value
}

// asID returns the id that an argument is.
func asID(arg any) (uuid.UUID, bool) {
	if valuer, ok := arg.(pgtype.UUIDValuer); ok {
		id, err := valuer.UUIDValue()
		return id.Bytes, err == nil && id.Valid
	}
	v := reflect.ValueOf(arg)
	if v.IsValid() && v.Type().ConvertibleTo(reflect.TypeFor[uuid.UUID]()) && v.Kind() == reflect.Array {
		return v.Convert(reflect.TypeFor[uuid.UUID]()).Interface().(uuid.UUID), true //nolint:errcheck // it was converted to it
	}

	return uuid.Nil, false
}

// IDs returns the distinct ids among a statement's arguments, in order.
func (s Statement) IDs() []any {
	var ids []any
	seen := make(map[uuid.UUID]bool)
	for _, arg := range s.Args {
		if id, ok := asID(arg); ok && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}

	return ids
}

// Values returns how many values a call brings.
func (r *Replay) Values() int { return r.values }

// ErrNoRow says that a statement neither returned nor changed exactly one row.
var ErrNoRow = errors.New("the statement was to find one row")

// With returns a replay that is followed by a statement without arguments, in the same batch.
func (r *Replay) With(next Statement) (*Replay, error) {
	if len(next.Args) > 0 {
		return nil, fmt.Errorf("%s has arguments", next.SQL)
	}
	both := *r
	both.next = next.SQL

	return &both, nil
}

// Caller runs a replay on a connection of its own. It is for one goroutine.
type Caller struct {
	*Replay
	conn *pgx.Conn
	args []any
	dest []any // nil for a statement that returns nothing
}

// On prepares the statement on a connection.
func (r *Replay) On(ctx context.Context, conn *pgx.Conn) (*Caller, error) {
	description, err := conn.Prepare(ctx, r.sql, r.sql)
	if err != nil {
		return nil, err
	}
	if r.next != "" {
		if _, err := conn.Prepare(ctx, r.next, r.next); err != nil {
			return nil, err
		}
	}
	dest, err := destinations(description.Fields)

	return &Caller{Replay: r, conn: conn, args: make([]any, len(r.args)), dest: dest}, err
}

// Call runs the statement with these values in the place of those that [New] was given, and reads its row.
func (c *Caller) Call(ctx context.Context, values ...any) error {
	if len(values) != c.values {
		return fmt.Errorf("%d values were given, and %d are wanted", len(values), c.values)
	}
	for i, slot := range c.slots {
		if c.args[i] = c.Replay.args[i]; slot >= 0 {
			c.args[i] = values[slot]
			if id, ok := values[slot].(uuid.UUID); ok { // the form that the driver takes as it is
				c.args[i] = pgtype.UUID{Bytes: id, Valid: true}
			}
		}
	}
	if c.dest == nil {
		tag, err := c.conn.Exec(ctx, c.sql, c.args...)
		if err == nil && tag.RowsAffected() != 1 {
			err = ErrNoRow
		}
		return err
	}
	err := c.queryRow(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNoRow
	}

	return err
}

func (c *Caller) queryRow(ctx context.Context) error {
	if c.next == "" {
		return c.conn.QueryRow(ctx, c.sql, c.args...).Scan(c.dest...)
	}
	batch := &pgx.Batch{}
	batch.Queue(c.sql, c.args...).QueryRow(func(row pgx.Row) error { return row.Scan(c.dest...) })
	batch.Queue(c.next)

	return c.conn.SendBatch(ctx, batch).Close()
}

// destinations are of the types that the packages scan into; null is possible in each column.
func destinations(fields []pgconn.FieldDescription) ([]any, error) {
	var dest []any
	for _, field := range fields {
		switch field.DataTypeOID {
		case pgtype.UUIDOID:
			dest = append(dest, new(*uuid.UUID))
		case pgtype.TextOID, pgtype.VarcharOID:
			dest = append(dest, new(*string))
		case pgtype.TimestamptzOID:
			dest = append(dest, new(*time.Time))
		case pgtype.Int8OID, pgtype.Int4OID, pgtype.Int2OID:
			dest = append(dest, new(*int64))
		case pgtype.BoolOID:
			dest = append(dest, new(*bool))
		case pgtype.JSONBOID, pgtype.JSONOID:
			dest = append(dest, new([]byte))
		default:
			return nil, fmt.Errorf("column %s has a type (%d) that is not known here", field.Name, field.DataTypeOID)
		}
	}

	return dest, nil
}

// Text returns the statement with expressions in the place of the values, for a tool that knows no arguments. It fails
// for a statement with arguments of another kind.
func (r *Replay) Text(expressions ...string) (string, error) {
	if len(expressions) != r.values {
		return "", fmt.Errorf("%d expressions were given, and %d are wanted", len(expressions), r.values)
	}
	text := r.sql
	for i := len(r.slots); i > 0; i-- { // from the last one, as $1 is the beginning of $10
		slot := r.slots[i-1]
		if slot < 0 {
			return "", fmt.Errorf("argument %d of %s is none of the values", i, r.sql)
		}
		text = strings.ReplaceAll(text, "$"+strconv.Itoa(i), expressions[slot])
	}

	return text, nil
}
