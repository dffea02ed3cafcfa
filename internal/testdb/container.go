package testdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/testdb/containers"
)

// boxed is a server in a container, which a separate program runs: see package containers.
type boxed struct {
	program *exec.Cmd
	ended   chan struct{} // closed when the program has ended

	mu      sync.Mutex // one order at a time
	orders  io.WriteCloser
	answers *json.Decoder
	id, url string
}

// startContainer starts a server in a container; a primary's id makes it a standby with a copy of that server's data.
func startContainer(ctx context.Context, settings map[string]string, primary string) (*boxed, error) {
	b, err := runContainers(ctx)
	if err != nil {
		return nil, fmt.Errorf("the program that runs containers: %w", err)
	}
	answer, err := b.do(ctx, containers.Order{Do: containers.Start, Settings: settings, Primary: primary})
	if err != nil {
		return nil, errors.Join(err, b.Remove(ctx))
	}
	b.id, b.url = answer.ID, answer.URL

	return b, nil
}

// runContainers starts the program, which go run builds when it is first needed.
func runContainers(ctx context.Context) (*boxed, error) {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/latchkey-sessions/latchkey")
	list.Stderr = os.Stderr
	root, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	program := exec.CommandContext(context.WithoutCancel(ctx), "go", "run", ".")
	program.Dir = filepath.Join(strings.TrimSpace(string(root)), "test", "containers")
	program.Stderr = os.Stderr
	program.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not meant for it: its input ends
	orders, err := program.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, writer := io.Pipe() // unlike StdoutPipe, it may still be read while Wait runs
	program.Stdout = writer
	if err := program.Start(); err != nil {
		return nil, err
	}
	b := &boxed{program: program, ended: make(chan struct{}), orders: orders, answers: json.NewDecoder(answers)}
	go func() {
		defer close(b.ended)
		err := program.Wait()
		if err == nil {
			err = io.EOF
		}
		writer.CloseWithError(fmt.Errorf("it ended: %w", err))
	}()

	return b, nil
}

// do makes the program carry out an order. If it is not done when the context ends, the program is
// killed.
func (b *boxed) do(ctx context.Context, order containers.Order) (containers.Answer, error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	order.Patience = startPatience
	if deadline, ok := ctx.Deadline(); ok {
		order.Patience = time.Until(deadline)
	}
	defer context.AfterFunc(ctx, b.kill)()
	var answer containers.Answer
	if err := json.NewEncoder(b.orders).Encode(order); err != nil {
		return containers.Answer{}, fmt.Errorf("container: %s: %w", order.Do, err)
	}
	if err := b.answers.Decode(&answer); err != nil {
		return containers.Answer{}, fmt.Errorf("container: %s: %w", order.Do, err)
	}
	if answer.Error != "" {
		return containers.Answer{}, errors.New(answer.Error)
	}

	return answer, nil
}

// kill ends the program with go run, which started it.
func (b *boxed) kill() {
	_ = syscall.Kill(-b.program.Process.Pid, syscall.SIGKILL) // it may have ended
}

func (b *boxed) URL(database string) string {
	return withDatabase(b.url, database)
}

func (b *boxed) Start(ctx context.Context) error {
	_, err := b.do(ctx, containers.Order{Do: containers.Start})
	return err
}

func (b *boxed) Stop(ctx context.Context) error {
	_, err := b.do(ctx, containers.Order{Do: containers.Stop})
	return err
}

func (b *boxed) Kill(ctx context.Context) error {
	_, err := b.do(ctx, containers.Order{Do: containers.Kill})
	return err
}

// Standby copies the data from one container into another.
func (b *boxed) Standby(ctx context.Context) (server, error) {
	standby, err := startContainer(ctx, standbySettings(), b.id)
	if err != nil {
		return nil, err
	}

	return standby, nil
}

// PeerURL names the address within Docker's network: whether a container reaches the ports of its host depends
// on firewalls, and on where the test itself runs. The address may change with each start.
func (b *boxed) PeerURL(ctx context.Context) (string, error) {
	answer, err := b.do(ctx, containers.Order{Do: containers.Peer})
	return answer.URL, err
}

// Remove ends the program's input, whereupon it removes the container.
func (b *boxed) Remove(ctx context.Context) error {
	defer context.AfterFunc(ctx, b.kill)()
	err := b.orders.Close()
	<-b.ended
	if state := b.program.ProcessState; !state.Success() {
		return errors.Join(err, fmt.Errorf("remove a container: %v", state))
	}

	return err
}
