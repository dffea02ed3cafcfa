package pgvalue

import (
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Row is where a statement's rows are read to, one after another. pgx finds out for each answer
// how its columns are read to their places; a Row remembers it.
type Row struct{ columns []column }

type column struct {
	place any
	// plan is how a column of this type in this format is read to the place.
	plan   pgtype.ScanPlan
	oid    uint32
	format int16
}

// NewRow returns a row that is read to these places, which are as for [pgx.Rows].Scan.
func NewRow(places []any) Row {
	r := Row{make([]column, len(places))}
	for i, place := range places {
		r.columns[i].place = place
	}
	return r
}

// Read reads the present row. All of them must be of one connection.
func (r *Row) Read(rows pgx.Rows) error {
	fields, values := rows.FieldDescriptions(), rows.RawValues()
	if len(fields) != len(r.columns) || len(values) != len(r.columns) {
		return fmt.Errorf("a row has %d columns, not %d", len(fields), len(r.columns))
	}
	for i := range r.columns {
		c, field := &r.columns[i], &fields[i]
		if c.plan == nil || c.oid != field.DataTypeOID || c.format != field.Format {
			c.oid, c.format = field.DataTypeOID, field.Format
			c.plan = rows.TypeMap().PlanScan(c.oid, c.format, c.place)
		}
		if err := c.plan.Scan(values[i], c.place); err != nil {
			return fmt.Errorf("column %d (%s): %w", i+1, field.Name, err)
		}
	}
	return nil
}

// Kept returns what is kept by a name with the connection that rows come from, and makes it if
// there is nothing. Nobody else has it until the rows are closed.
func Kept[T any](rows pgx.Rows, name string, create func() *T) *T {
	kept := rows.Conn().PgConn().CustomData()
	if there, ok := kept[name].(*T); ok {
		return there
	}
	there := create()
	kept[name] = there
	return there
}
