package sessionstore

import (
	"cmp"

	"github.com/jackc/pgx/v5"
)

// perClient counts sessions by client. In the counts from revokeTokensQuery, an empty
// client is the first one.
type perClient map[string]int64

// add adds n to a client's count.
func (p *perClient) add(client string, n int64) {
	switch {
	case n == 0:
		return
	case *p == nil:
		*p = perClient{}
	}
	(*p)[client] += n
}

func (p *perClient) addAll(more perClient) {
	for client, n := range more {
		p.add(client, n)
	}
}

func (p perClient) total() (n int64) {
	for _, each := range p {
		n += each
	}
	return n
}

// named calls the first client by its name.
func (p perClient) named(first string) (by perClient) {
	for client, n := range p {
		by.add(cmp.Or(client, first), n)
	}
	return by
}

// readRevoked adds what revokeTokensQuery counts.
func readRevoked(live, all *perClient) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var client string
		var living, n int64
		_, err := pgx.ForEachRow(rows, []any{&client, &living, &n}, func() error {
			live.add(client, living)
			all.add(client, n)
			return nil
		})
		return err
	}
}
