// Command containers runs one PostgreSQL server in a container for internal/testdb, which starts it if a machine has no
// PostgreSQL. It is a separate module so that no test binary links testcontainers. See internal/testdb/containers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb/containers"
)

// removePatience is how long it may take to remove the container.
const removePatience = 30 * time.Second

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "containers:", err)
		os.Exit(1)
	}
}

// serve carries out orders until there are no more, and then removes the container.
func serve(orders io.Reader, answers io.Writer) (err error) {
	var s server
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), removePatience)
		defer cancel()
		err = errors.Join(err, s.remove(ctx))
	}()
	decoder, encoder := json.NewDecoder(orders), json.NewEncoder(answers)
	for {
		var order containers.Order
		if err := decoder.Decode(&order); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		answer, err := s.do(order)
		if err != nil {
			answer = containers.Answer{Error: err.Error()}
		}
		if err := encoder.Encode(answer); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
}

func (s *server) do(order containers.Order) (containers.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), order.Patience)
	defer cancel()
	if s.container == nil && order.Do != containers.Start {
		return containers.Answer{}, fmt.Errorf("%s: no server was started", order.Do)
	}
	switch order.Do {
	case containers.Start:
		if err := s.start(ctx, order); err != nil {
			return containers.Answer{}, err
		}
		return containers.Answer{ID: s.container.GetContainerID(), URL: s.url}, nil
	case containers.Stop:
		return containers.Answer{}, s.container.Stop(ctx, nil)
	case containers.Kill:
		return containers.Answer{}, s.kill(ctx)
	case containers.Peer:
		url, err := s.peerURL(ctx)
		return containers.Answer{URL: url}, err
	default:
		return containers.Answer{}, fmt.Errorf("%q is no order", order.Do)
	}
}
