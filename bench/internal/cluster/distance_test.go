package cluster_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/latchkey-sessions/latchkey/bench/internal/cluster"
	"github.com/latchkey-sessions/latchkey/bench/internal/must"
)

func TestDistance(t *testing.T) {
	t.Parallel()

	const oneWay = 20 * time.Millisecond
	server := must.Get(net.Listen("tcp", "127.0.0.1:0")) //nolint:noctx // a test
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	address, stop := cluster.Distance(t.Context(), server.Addr().String(), oneWay)
	conn := must.Get(net.Dial("tcp", address)) //nolint:noctx // a test
	for range 3 {
		began := time.Now()
		must.Get(conn.Write([]byte("hello")))
		answer := make([]byte, 5)
		must.Get(io.ReadFull(conn, answer))
		if took := time.Since(began); string(answer) != "hello" || took < 2*oneWay {
			t.Errorf("%q came after %v", answer, took)
		}
	}
	// Data that is sent together arrives together: it is a distance, not a limit.
	if half, ok := conn.(*net.TCPConn); !ok || half.CloseWrite() != nil {
		t.Error("the connection cannot be half closed")
	}
	if rest := must.Get(io.ReadAll(conn)); len(rest) > 0 {
		t.Errorf("%q came too", rest)
	}
	must.Do(conn.Close())
	must.Do(server.Close())
	stop()
}
