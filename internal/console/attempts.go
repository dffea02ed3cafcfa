package console

import (
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/time/rate"
)

const (
	attemptsAtOnce     = 10
	attemptsPause      = 6 * time.Second
	attemptsRetryAfter = "6"
	// attemptsMemory is how many addresses are remembered.
	attemptsMemory = 4096
)

// attempts lets each address try to sign in ten times a minute.
type attempts struct {
	of interface { // otter's, as in httpapi
		ComputeIfAbsent(network netip.Prefix, full func() (*rate.Limiter, bool)) (*rate.Limiter, bool)
	}
}

func newAttempts() *attempts {
	return &attempts{otter.Must(&otter.Options[netip.Prefix, *rate.Limiter]{MaximumSize: attemptsMemory})}
}

// allows counts an attempt. Attempts from unknown addresses do not count as one address, or anyone could lock out the
// operators: they are not counted, as no secret is short enough to guess.
func (a *attempts) allows(address string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return true
	}
	network, _ := ip.Unmap().Prefix(min(ip.Unmap().BitLen(), 64))
	limiter, _ := a.of.ComputeIfAbsent(network, func() (*rate.Limiter, bool) {
		return rate.NewLimiter(rate.Every(attemptsPause), attemptsAtOnce), false
	})
	return limiter.Allow()
}
