package soak_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/latchkey-sessions/latchkey/verifier"
)

// move is how a shard was moved, and how long it took.
type move struct {
	shard int
	how   string
	took  time.Duration
}

func (sh *shards) logMoves() {
	for _, m := range sh.moves {
		sh.soak.t.Logf("the shard %d was moved %s in %v", m.shard, m.how, m.took.Round(time.Millisecond))
	}
}

// moveServer moves a shard other than the first to another server, in the steps of docs/scale.md: it is fenced, dumped and
// restored, and the services are restarted in turn with its new address. Meanwhile its sessions get 503, and no others do.
func (sh *shards) moveServer() {
	s := sh.soak
	shard := 1 + sh.dice.IntN(len(sh.weights)-1)
	sh.awaitAll() // so that nothing else is broken
	stays, gone := sh.beforeMove(shard)
	began := time.Now()
	from, to := sh.servers[shard], sh.spare
	from.Fence(sh.urls[shard])
	moved := to.Restore(sh.urls[shard], fmt.Sprint("moved_", len(sh.moves)))
	restored := time.Since(began)
	for i := range 3 {
		if i > 0 {
			time.Sleep(50 * time.Millisecond)
		}
		sh.lookAt(shard)
	}
	sh.urls[shard], sh.servers[shard], sh.spare = moved, to, from
	pool := newPool(s.t, moved)
	sh.mu.Lock()
	sh.pools[shard] = pool
	sh.mu.Unlock()
	sh.write()
	sh.roll()
	sh.awaitAll()
	sh.moves = append(sh.moves, move{shard, fmt.Sprintf("to another server, %v of which before it was restored,", restored.Round(time.Millisecond)), time.Since(began)})
	s.tally.add(shardMoved)
	sh.afterMove(stays, gone)
}

// moveNode has Citus move a shard to another node, and back, while it is in use.
func (sh *shards) moveNode() {
	s := sh.soak
	shard := sh.dice.IntN(len(sh.weights))
	for range 2 {
		sh.awaitAll()
		stays, gone := sh.beforeMove(shard)
		began := time.Now()
		if err := sh.moveSchema(shard); err != nil {
			s.t.Errorf("move the shard %d: %v", shard, err)
			return
		}
		sh.moves = append(sh.moves, move{shard, "to another node", time.Since(began)})
		s.tally.add(shardMovedOnCitus)
		sh.afterMove(stays, gone)
	}
}

const (
	otherNodeQuery = `
SELECT current_schema(), "nodename", "nodeport" FROM pg_dist_node
WHERE "shouldhaveshards" AND ("nodename", "nodeport") NOT IN (SELECT "nodename", "nodeport" FROM citus_shards WHERE "table_name" = '"sessionStore"'::regclass) LIMIT 1`
	moveQuery = `SELECT citus_schema_move($1::text::regnamespace, $2, $3, 'block_writes')`
)

func (sh *shards) moveSchema(shard int) error {
	ctx, cancel := context.WithTimeout(sh.soak.t.Context(), endPatience)
	defer cancel()
	return pgx.BeginFunc(ctx, sh.pool(shard), func(tx pgx.Tx) error {
		var schema, node string
		var port int
		if err := tx.QueryRow(ctx, otherNodeQuery).Scan(&schema, &node, &port); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, moveQuery, schema, node, port)
		return err
	})
}

// beforeMove makes two sessions on a shard, and ends the second.
func (sh *shards) beforeMove(shard int) (stays, gone *leaver) {
	s := sh.soak
	made := make([]*leaver, 2)
	for i := range made {
		name := fmt.Sprint("mover ", i, " of ", shard, " at ", time.Since(s.began))
		p, ok := sh.signInOn(shard, name)
		if !ok {
			return nil, nil
		}
		sh.forget(p.session)
		made[i] = &leaver{name: name, client: newClient(s, name, "mover"), pairs: []pair{p, p}}
	}
	if stays, gone = made[0], made[1]; !gone.logOut(s) {
		return nil, nil
	}
	s.await("the end of a session before a move", func() bool { return sh.refusedByAll(gone) })
	return stays, gone
}

// refusedByAll reports whether each verifier refuses a session's token.
func (sh *shards) refusedByAll(l *leaver) bool {
	return !slices.ContainsFunc(sh.soak.edges, func(e *edge) bool {
		ctx, cancel := context.WithTimeout(sh.soak.t.Context(), patience)
		defer cancel()
		return e.verify(ctx, l.pairs[1]) != refused
	})
}

// afterMove makes sure that the session that ended before has ended, and that the end of the other one is noticed.
func (sh *shards) afterMove(stays, gone *leaver) {
	s := sh.soak
	if stays == nil {
		s.t.Error("there were no sessions to move")
		return
	}
	for began := time.Now(); time.Since(began) < 2*verifier.DefaultBound; time.Sleep(50 * time.Millisecond) {
		for _, e := range s.edges {
			ctx, cancel := context.WithTimeout(s.t.Context(), patience)
			if e.verify(ctx, gone.pairs[1]) == accepted {
				s.believed(gone.name, gone.pairs[1])
			}
			cancel()
		}
	}
	gone.checkDead(s)
	s.tally.add(endedBeforeAMove)
	if v := s.persist(func(ctx context.Context) verdict { return stays.client.use(ctx, stays.pairs[1]) }); v != accepted {
		s.t.Errorf("%s: a live session after a move: %s", stays.name, v)
	}
	if !stays.logOut(s) {
		return
	}
	if s.holdTheEdge(stays.name, stays.client, stays.pairs[1], sh.dice) > 0 {
		s.tally.add(endedAfterAMove)
	}
	stays.checkDead(s)
}
