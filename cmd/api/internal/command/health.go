package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
)

// healthTimeout is longer than a service waits for its database.
const healthTimeout = 12 * time.Second

type healthCmd struct{ settings.Listener }

// Run asks the service on this machine whether it is ready, for images without another HTTP client.
func (c *healthCmd) Run(a *app) error {
	ctx, cancel := context.WithTimeout(a.ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(string(c.InternalAddr))+"/readyz", http.NoBody)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("the service does not answer: %w", err)
	}
	defer func() { _ = answer.Body.Close() }() // it was only read from
	if answer.StatusCode == http.StatusOK {
		_, err := fmt.Fprintln(a.stdout, "ready")
		return err
	}
	var said struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil {
		return fmt.Errorf("the service is not ready: it answered %d", answer.StatusCode)
	}
	return errors.New("the service is not ready: " + cmp.Or(said.Detail, said.Title))
}

// reachable returns the address at which this machine can reach a listener.
func reachable(address string) string {
	host, port, _ := net.SplitHostPort(address) // checked when it was read
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
