package verifier_test

import (
	"bytes"
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// proxy is a network between two programs, which can fail in the ways of networks.
type proxy struct {
	listener net.Listener
	mu       sync.Mutex
	target   string
	links    map[*link]struct{}
	// pace is how long the proxy rests after each packet to the client, lag how
	// long each takes.
	pace, lag time.Duration
	down      bool
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	listens        bool // it is a connection for notifications
	frozen         chan struct{}
	freeze         sync.Once
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, links: map[*link]struct{}{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(t.Context(), client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		serving.Wait()
	})
	return p
}

// newDatabaseProxy returns a proxy and the database's URL through it.
func newDatabaseProxy(t *testing.T, database string) (p *proxy, through string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	p = newProxy(t, u.Host)
	u.Host = p.listener.Addr().String()
	return p, u.String()
}

func (p *proxy) serve(ctx context.Context, client net.Conn) {
	p.mu.Lock()
	target, down := p.target, p.down
	p.mu.Unlock()
	if down {
		_ = client.Close()
		return
	}
	server, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server, frozen: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, client, server, true) })
	both.Go(func() { p.pump(l, server, client, false) })
	both.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

type packet struct {
	data []byte
	due  time.Time
}

// pump forwards in one direction until either side ends, or until the link is
// frozen: then it never says anything again.
func (p *proxy) pump(l *link, from, to net.Conn, up bool) {
	packets := make(chan packet, 10_000)
	var writing sync.WaitGroup
	writing.Go(func() {
		defer func() { _, _ = from.Close(), to.Close() }()
		for q := range packets {
			time.Sleep(time.Until(q.due))
			select {
			case <-l.frozen:
				// Neither side learns of it. It ends when the test does.
				for range packets {
				}
				return
			default:
			}
			if _, err := to.Write(q.data); err != nil {
				return
			}
		}
	})
	defer writing.Wait()
	defer close(packets)
	for {
		buffer := make([]byte, 16<<10)
		n, err := from.Read(buffer)
		p.mu.Lock()
		pace, lag := p.pace, p.lag
		l.listens = l.listens || up && bytes.Contains(buffer[:n], []byte(`LISTEN "latchkey_revoked"`))
		p.mu.Unlock()
		if up {
			pace, lag = 0, 0
		}
		time.Sleep(pace)
		if n > 0 {
			packets <- packet{buffer[:n], time.Now().Add(lag)}
		}
		if err != nil {
			return
		}
	}
}

// freezeAll makes half-open connections of all that are open now, or of those for
// notifications alone. New ones work.
func (p *proxy) freezeAll(onlyListening bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for l := range p.links {
		if l.listens || !onlyListening {
			l.freeze.Do(func() { close(l.frozen) })
			n++
		}
	}
	return n
}

// cut closes all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		_, _ = l.client.Close(), l.server.Close()
	}
}

// setDown refuses new connections, or takes them again.
func (p *proxy) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// point sends new connections elsewhere.
func (p *proxy) point(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *proxy) setPace(pace time.Duration) { p.slow(pace, 0) }
func (p *proxy) setLag(lag time.Duration)   { p.slow(0, lag) }

func (p *proxy) slow(pace, lag time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pace, p.lag = pace, lag
}
