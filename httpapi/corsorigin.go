package httpapi

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/idna"
)

// browserOrigin returns the origin as browsers send it (RFC 6454 §6.2), with the ASCII
// form of an internationalized name. It refuses wildcards and "null", which identify
// no origin, and anything that a browser would never send.
func browserOrigin(origin string) (string, error) {
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" || strings.ContainsAny(u.Host, "* ") || origin != strings.ToLower(u.Scheme+"://"+u.Host) || !isPort(u) {
		return "", fmt.Errorf("httpapi: the CORS origin %q must be exact and as browsers send it, such as https://app.example.com", origin)
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.String() != host {
			return "", fmt.Errorf("httpapi: the CORS origin %q must have the address that browsers send, %s", origin, ip)
		}
		return origin, nil
	}
	if isASCII(host) {
		return origin, nil
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return "", fmt.Errorf("httpapi: the CORS origin %q must have the name of a host: %w", origin, err)
	}
	return strings.Replace(origin, host, ascii, 1), nil
}

// isPort reports whether the port is as browsers send it: they leave out the scheme's own, and with it the colon.
func isPort(u *url.URL) bool {
	isDefault := u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80"
	return !isDefault && !strings.HasSuffix(u.Host, ":")
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > '~' })
}
