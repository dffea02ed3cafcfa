// Package clientaddr reads the addresses of clients in the forms in which servers,
// proxies and applications write them.
package clientaddr

import (
	"net/netip"
	"strings"
)

// Parse returns the address in a text: alone, with a port as Azure's gateways and IIS
// write it into X-Forwarded-For, in brackets, with a zone, or in the quotes of RFC
// 7239 §6. Port and zone are dropped, and an IPv4 address that was mapped to IPv6
// becomes an IPv4 address again. It returns false for unreadable text, such as
// "unknown".
func Parse(text string) (netip.Addr, bool) {
	text = bare(text)
	if text == "" { // no error is made for it
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, false
	}
	return ip.WithZone("").Unmap(), true
}

// ParseText is [Parse] that also returns the address in words. Most have it in its usual form, and then it is a part of
// the text.
func ParseText(text string) (ip netip.Addr, plain string, ok bool) {
	if ip, ok = Parse(text); !ok {
		return ip, "", false
	}
	plain = bare(text)
	if usual := ip.AppendTo(make([]byte, 0, maxBytes)); string(usual) != plain {
		plain = string(usual)
	}
	return ip, plain, true
}

// maxBytes is the length of the longest IPv6 address.
const maxBytes = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// bare is the part of a text in which the address is, if there is one.
func bare(text string) string {
	text = strings.Trim(strings.TrimSpace(text), `"`)
	switch inside, bracketed := strings.CutPrefix(text, "["); {
	case bracketed:
		text, _, _ = strings.Cut(inside, "]")
	case strings.Count(text, ":") == 1: // an IPv6 address has two or more
		text, _, _ = strings.Cut(text, ":")
	}
	return text
}
