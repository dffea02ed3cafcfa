package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	defaultDPoPWindow     = time.Minute
	defaultRequestTimeout = 10 * time.Second
	defaultReadTimeout    = 15 * time.Second
	defaultIdleTimeout    = 2 * time.Minute
	defaultDrainTimeout   = 15 * time.Second
)

func (c Config) withDefaults() (Config, error) {
	if err := checkIssuer(c.Issuer); err != nil {
		return c, err
	}
	c.CORSOrigins = slices.Clone(c.CORSOrigins)
	for i, origin := range c.CORSOrigins {
		sent, err := browserOrigin(origin)
		if err != nil {
			return c, err
		}
		c.CORSOrigins[i] = sent
	}
	for _, prefix := range c.TrustedProxies {
		if !prefix.IsValid() {
			return c, errors.New("httpapi: TrustedProxies has an invalid network")
		}
	}
	if c.RateLimit < 0 || c.SessionRateLimit < 0 {
		return c, fmt.Errorf("httpapi: RateLimit (%d) and SessionRateLimit (%d) may not be negative", c.RateLimit, c.SessionRateLimit)
	}
	for _, t := range []struct {
		name         string
		value        *time.Duration
		defaultValue time.Duration
	}{
		{"DPoPWindow", &c.DPoPWindow, defaultDPoPWindow},
		{"RequestTimeout", &c.RequestTimeout, defaultRequestTimeout},
		{"ReadTimeout", &c.ReadTimeout, defaultReadTimeout},
		{"IdleTimeout", &c.IdleTimeout, defaultIdleTimeout},
		{"ShutdownDelay", &c.ShutdownDelay, 0},
		{"DrainTimeout", &c.DrainTimeout, defaultDrainTimeout},
	} {
		*t.value = cmp.Or(*t.value, t.defaultValue)
		if *t.value < 0 {
			return c, fmt.Errorf("httpapi: %s is %v, it may not be negative", t.name, *t.value)
		}
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return c, nil
}

// checkIssuer requires what RFC 8414 §2 requires, but accepts http for local use. The
// issuer's path becomes a route, in which *, { and } would have a meaning.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil ||
		u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(u.Path, "*{}") || strings.HasSuffix(issuer, "/") {
		return fmt.Errorf("httpapi: Issuer is %q, it must be a URL such as https://auth.example.com", issuer)
	}
	return nil
}
