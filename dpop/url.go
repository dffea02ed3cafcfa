package dpop

import (
	"cmp"
	"errors"
	"net/netip"
	"net/url"
	"strings"
)

const maxURLBytes = 4096

var errURL = errors.New("not an absolute http or https URL")

// normalize returns the canonical spelling of a URL without query and fragment
// (RFC 9449 §4.3; RFC 3986 §6.2.2 and §6.2.3): scheme and host in lower case, no
// default port, percent-encoding only where it is needed and in upper case, no
// dot segments, no empty path.
func normalize(raw string) (string, error) {
	if len(raw) > maxURLBytes {
		return "", errURL
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "", errURL
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "https" && scheme != "http" || u.Hostname() == "" || u.User != nil || u.Opaque != "" {
		return "", errURL
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		ip, err := netip.ParseAddr(host)
		if err != nil || ip.Zone() != "" {
			return "", errURL
		}
		host = "[" + ip.String() + "]"
	}
	if port := u.Port(); port != "" && (scheme != "https" || port != "443") && (scheme != "http" || port != "80") {
		host += ":" + port
	}
	// Dots may be written as %2E: decoding comes first.
	path := cmp.Or(removeDotSegments(normalizeEscapes(u.EscapedPath())), "/")
	return scheme + "://" + host + path, nil
}

// normalizeEscapes decodes what need not be encoded, and writes the rest in
// upper case (RFC 3986 §6.2.2.1, §6.2.2.2). The path is well-formed.
func normalizeEscapes(path string) string {
	if !strings.ContainsRune(path, '%') {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) {
			b.WriteByte(path[i])
			continue
		}
		escape := strings.ToUpper(path[i : i+3])
		if c := unhex(escape[1])<<4 | unhex(escape[2]); isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(escape)
		}
		i += 2
	}
	return b.String()
}

func unhex(c byte) byte {
	if c >= 'A' {
		return c - 'A' + 10
	}
	return c - '0'
}

// isUnreserved is RFC 3986 §2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// removeDotSegments is RFC 3986 §5.2.4 for a path that is empty or starts with
// a slash.
func removeDotSegments(path string) string {
	if !strings.Contains(path, "/.") {
		return path
	}
	segments := strings.Split(path, "/")
	kept := make([]string, 0, len(segments))
	for i, segment := range segments {
		switch last := i == len(segments)-1; segment {
		case ".", "..":
			if segment == ".." && len(kept) > 1 {
				kept = kept[:len(kept)-1]
			}
			if last {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, segment)
		}
	}
	return strings.Join(kept, "/")
}
