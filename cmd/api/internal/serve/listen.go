package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// listen opens both listeners. Clients may connect from then on; they are answered once the service is ready.
func listen(ctx context.Context, public, internal string) (net.Listener, net.Listener, error) {
	var config net.ListenConfig
	first, err := config.Listen(ctx, "tcp", public)
	if err != nil {
		return nil, nil, fmt.Errorf("LATCHKEY_PUBLIC_ADDR: %w", err)
	}
	second, err := config.Listen(ctx, "tcp", internal)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("LATCHKEY_INTERNAL_ADDR: %w", err), first.Close())
	}
	return first, second, nil
}

// baseURL is the URL at which a client on this machine reaches a listener.
func baseURL(listener net.Listener, configured string) string {
	host, _, _ := net.SplitHostPort(configured) // checked when it was read
	ip, err := netip.ParseAddr(host)
	if host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	port := 0
	if addr, ok := listener.Addr().(*net.TCPAddr); ok {
		port = addr.Port // the one that the system chose for port 0
	}
	return "http://" + net.JoinHostPort(host, strconv.Itoa(port))
}
