package settings

import (
	"cmp"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/latchkey-sessions/latchkey/keystore"
	"github.com/latchkey-sessions/latchkey/sessionstore"
	"github.com/latchkey-sessions/latchkey/tokens"
)

// maxDuration keeps sums and multiples of durations far from overflow.
const maxDuration = 100 * 365 * 24 * time.Hour

// duration is a number of whole seconds from 0 to maxDuration: tokens' times have no finer
// resolution.
type duration time.Duration

// Decode reads a duration as Go writes them.
func (d *duration) Decode(ctx *kong.DecodeContext) error {
	return decode(ctx, func(text string) string {
		v, err := time.ParseDuration(text)
		if err != nil || v < 0 || v > maxDuration || v%time.Second != 0 {
			return "a duration in whole seconds, such as 15s, 5m or 720h, up to 876000h"
		}
		*d = duration(v)
		return ""
	})
}

func (d duration) String() string { return time.Duration(d).String() }

// count is a number of things.
type count int

// Decode reads a number of at least 0.
func (c *count) Decode(ctx *kong.DecodeContext) error {
	const most = 1_000_000_000
	return decode(ctx, func(text string) string {
		v, err := strconv.Atoi(text)
		if err != nil || v < 0 || v > most {
			return "a whole number from 0 to 1000000000"
		}
		*c = count(v)
		return ""
	})
}

// toggle is true or false. It is text, because kong's own bool flags take no value, and settings do.
type toggle string

// Decode reads true or false.
func (t *toggle) Decode(ctx *kong.DecodeContext) error { return oneOf(ctx, t, "true", "false") }

// text is a name or a path.
type text string

// Decode reads printable text.
func (t *text) Decode(ctx *kong.DecodeContext) error {
	return decode(ctx, func(value string) string {
		if !isText(value) {
			return "text without control characters and without space around it"
		}
		*t = text(value)
		return ""
	})
}

// isText reports whether [text] accepts a value.
func isText(value string) bool {
	return value != "" && value == strings.TrimSpace(value) && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// names are audiences.
type names []string

// Decode reads comma-separated names.
func (n *names) Decode(ctx *kong.DecodeContext) error {
	return decodeList(ctx, n, "names without control characters, separated by commas", func(name string) (string, bool) { return name, isText(name) })
}

// address is where a listener listens.
type address string

// Decode reads a host, which may be empty, and a port.
func (a *address) Decode(ctx *kong.DecodeContext) error {
	return decode(ctx, func(text string) string {
		_, port, err := net.SplitHostPort(text)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil {
			return "host:port or :port, such as 127.0.0.1:8081 or :8080"
		}
		*a = address(text)
		return ""
	})
}

// issuer is the tokens' issuer and the public listener's base URL.
type issuer string

// Decode reads an issuer as RFC 8414 §2 requires it: an https URL without query and fragment. Plain http is
// accepted only for this machine.
func (i *issuer) Decode(ctx *kong.DecodeContext) error {
	return decode(ctx, func(text string) string {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Opaque != "" || u.User != nil || strings.ContainsAny(text, "?# ") ||
			strings.HasSuffix(text, "/") || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
			return "an https URL without query, fragment and trailing slash, such as https://login.example.com (or http://localhost:8080 for this machine only)"
		}
		*i = issuer(text)
		return ""
	})
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// origins are the origins of browser apps.
type origins []string

// Decode reads origins just as browsers send them (RFC 6454 §6.2): anything else would never match.
func (o *origins) Decode(ctx *kong.DecodeContext) error {
	const may = "exact origins as browsers send them, separated by commas, such as https://app.example.com,http://localhost:5173 (no *, no path, lower case, no default port)"
	return decodeList(ctx, o, may, func(origin string) (string, bool) { return origin, isOrigin(origin) })
}

const originForm = "an exact origin as browsers send it, such as https://app.example.com (no *, no path, lower case, no default port)"

func isOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && u.Hostname() != "" && !strings.ContainsAny(u.Host, "* ") && origin == strings.ToLower(u.Scheme+"://"+u.Host) &&
		(u.Scheme != "https" || u.Port() != "443") && (u.Scheme != "http" || u.Port() != "80")
}

// prefixes are networks.
type prefixes []netip.Prefix

// Decode reads networks and single addresses.
func (p *prefixes) Decode(ctx *kong.DecodeContext) error {
	return decodeList(ctx, p, "networks or addresses, separated by commas, such as 10.0.0.0/8,192.0.2.7", func(part string) (netip.Prefix, bool) {
		prefix, err := netip.ParsePrefix(part)
		if ip, ipErr := netip.ParseAddr(part); ipErr == nil && ip.Zone() == "" {
			prefix, err = netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		return prefix.Masked(), err == nil
	})
}

// limitAction says what happens to a creation at LATCHKEY_SESSIONS_PER_SUBJECT.
type limitAction sessionstore.LimitAction

// Decode reads one of the two actions.
func (l *limitAction) Decode(ctx *kong.DecodeContext) error {
	return oneOf(ctx, l, string(sessionstore.EndOldest), string(sessionstore.RefuseNew))
}

// keyAlgorithm is the algorithm of new signing keys.
type keyAlgorithm string

// Decode reads the name of an algorithm.
func (a *keyAlgorithm) Decode(ctx *kong.DecodeContext) error {
	return oneOf(ctx, a, tokens.AlgorithmNames()...)
}

// OfFirst returns the algorithm for a key without a predecessor.
func (a keyAlgorithm) OfFirst() string { return cmp.Or(string(a), keystore.DefaultAlgorithm) }

// logLevel is the lowest level that is logged.
type logLevel string

// Decode reads one of the four levels.
func (l *logLevel) Decode(ctx *kong.DecodeContext) error {
	return oneOf(ctx, l, "debug", "info", "warn", "error")
}

// logFormat is text, json, or empty for the one that suits the terminal or the pipe.
type logFormat string

// Decode reads one of the two formats.
func (f *logFormat) Decode(ctx *kong.DecodeContext) error { return oneOf(ctx, f, "text", "json") }

// auditTarget is none, stdout, or the path of a file.
type auditTarget string

// Values that are not paths.
const (
	AuditNone   auditTarget = "none"
	AuditStdout auditTarget = "stdout"
)

// Decode requires a path to look like one: "off" is not a file.
func (t *auditTarget) Decode(ctx *kong.DecodeContext) error {
	return decode(ctx, func(value string) string {
		to := auditTarget(value)
		if to != AuditNone && to != AuditStdout && (!strings.Contains(value, "/") || strings.ContainsFunc(value, unicode.IsControl)) {
			return "none, stdout, or the path of a file, such as /var/log/latchkey/audit.log"
		}
		*t = to
		return ""
	})
}
