package command

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/latchkey-sessions/latchkey/cmd/api/internal/database"
	"github.com/latchkey-sessions/latchkey/cmd/api/internal/settings"
	"github.com/latchkey-sessions/latchkey/internal/console"
)

type consoleCmd struct {
	settings.Database
	settings.Listener
	settings.Log

	URL string `name:"url" placeholder:"URL" help:"Where operators reach the internal listener, such as https://sessions.internal.example.com. By default this machine."`
}

// Help explains the link.
func (*consoleCmd) Help() string {
	return "Prints a link that signs you in to the operators' page as user@host, once and within two minutes. " +
		"The page shows sessions without their data and can end them; the audit trail records each action."
}

// Run prints the link.
func (c *consoleCmd) Run(a *app) error {
	base := strings.TrimSuffix(c.URL, "/")
	if base == "" {
		base = "http://" + byName(reachable(string(c.InternalAddr)))
	}
	return database.WithSchema(a.ctx, c.Database, c.NewLogger(a.stderr), func(pool *pgxpool.Pool) error {
		path, err := console.MakeLink(a.ctx, pool, operatorName())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.stdout, base+path)
		return err
	})
}

// byName replaces this machine's own address with its name: not every browser keeps a secure cookie for the
// address.
func byName(address string) string {
	host, port, _ := net.SplitHostPort(address) // checked when it was made
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
