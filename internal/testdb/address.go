package testdb

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Address is one address for several servers, like a DNS name or a load balancer: connections lead to its server at the
// time when they are made.
type Address struct {
	tb       testing.TB
	listener net.Listener
	all      sync.WaitGroup

	mu    sync.Mutex
	to    string
	conns map[net.Conn]bool
}

// NewAddress returns an address that leads to a server until [Address.Lead]. It is removed when the test
// ends.
func NewAddress(tb testing.TB, to *Server) *Address {
	tb.Helper()

	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("testdb: %v", err)
	}
	a := &Address{tb: tb, listener: listener, conns: map[net.Conn]bool{}}
	a.Lead(to)
	a.all.Go(a.accept)
	tb.Cleanup(func() {
		_ = listener.Close()
		a.Cut()
		a.all.Wait()
	})

	return a
}

// URL returns a server's URL, with this address.
func (a *Address) URL(of *Server) string {
	u := a.parse(of)
	u.Host = a.listener.Addr().String()

	return u.String()
}

// Lead makes new connections lead to a server. Existing ones stay.
func (a *Address) Lead(to *Server) {
	host := a.parse(to).Host
	a.mu.Lock()
	defer a.mu.Unlock()
	a.to = host
}

// Cut ends all connections.
func (a *Address) Cut() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for conn := range a.conns {
		_ = conn.Close()
	}
}

func (a *Address) parse(s *Server) *url.URL {
	a.tb.Helper()

	u, err := url.Parse(s.URL())
	if err != nil {
		a.tb.Fatalf("testdb: %v", err)
	}

	return u
}

func (a *Address) accept() {
	for {
		client, err := a.listener.Accept()
		if err != nil {
			return // it is closed
		}
		a.all.Go(func() { a.serve(client) })
	}
}

// serve passes bytes on in both directions until one of them ends.
func (a *Address) serve(client net.Conn) {
	a.keep(client)
	defer a.drop(client)
	a.mu.Lock()
	to := a.to
	a.mu.Unlock()
	server, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.WithoutCancel(a.tb.Context()), "tcp", to)
	if err != nil {
		return // to the client, nothing is listening
	}
	a.keep(server)
	defer a.drop(server)

	var sent sync.WaitGroup
	sent.Go(func() {
		_, err := io.Copy(server, client)
		_ = errors.Join(err, server.Close())
	})
	_, err = io.Copy(client, server)
	_ = errors.Join(err, client.Close())
	sent.Wait()
}

func (a *Address) keep(conn net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns[conn] = true
}

func (a *Address) drop(conn net.Conn) {
	_ = conn.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.conns, conn)
}
