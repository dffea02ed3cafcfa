package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/cors"

	"github.com/latchkey-sessions/latchkey/dpop"
	"github.com/latchkey-sessions/latchkey/internal/clientaddr"
)

// recoverPanics answers for a handler that panicked. If a response was begun, it
// breaks the connection, so that the truncated response is not taken for the whole.
func recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); {
			case v == nil:
			case v == http.ErrAbortHandler: //nolint:errorlint,err113 // compared by identity, as net/http does
				panic(v)
			case infoOf(r).answer.status != 0:
				infoOf(r).problem = &problem{code: codeInternal, cause: panicError(v)}
				panic(http.ErrAbortHandler)
			default:
				fail(w, r, panicError(v))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// panicError says where the panic happened. It includes the value only if the
// runtime raised it: any other value may hold anything.
func panicError(v any) error {
	what := fmt.Sprintf("%T", v)
	if e, ok := v.(runtime.Error); ok {
		what = e.Error()
	}
	return fmt.Errorf("panic: %s\n%s", what, debug.Stack())
}

// secure sets the headers that every answer has.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["X-Content-Type-Options"] = noSniff
		h["Content-Security-Policy"] = noContent
		h["Referrer-Policy"] = noReferrer
		next.ServeHTTP(w, r)
	})
}

// limitTime limits the wait for the database. An operation that runs out of time
// returns an error that becomes 503; nothing is left running.
func limitTime(timeout time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
}

// resolveClient determines [proxiedAddr]. X-Forwarded-For counts only as far as trusted
// proxies wrote it.
//
// Some of them write more than an address into it, which chi does not parse:
// see [clientaddr.Parse].
func resolveClient(trusted []netip.Prefix) func(http.Handler) http.Handler {
	prefixes := make([]string, len(trusted))
	for i, p := range trusted {
		prefixes[i] = p.String()
	}
	resolve := middleware.ClientIPFromXFF(prefixes...)
	return func(next http.Handler) http.Handler {
		next = resolve(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for i, line := range r.Header["X-Forwarded-For"] {
				r.Header["X-Forwarded-For"][i] = plainAddresses(line)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// proxiedAddr is the client's address behind [resolveClient], also in words.
func proxiedAddr(r *http.Request) (netip.Addr, string) {
	ip := middleware.GetClientIPAddr(r.Context()).WithZone("")
	if !ip.IsValid() {
		return ip, ""
	}
	return ip, ip.String()
}

// remoteAddr is the client's address if there is no proxy in front of the service, also as text.
func remoteAddr(r *http.Request) (netip.Addr, string) {
	ip, text, _ := clientaddr.ParseText(r.RemoteAddr)
	return ip, text
}

// plainAddresses reduces each entry to its address, and leaves one without an address
// unchanged.
func plainAddresses(line string) string {
	entries := strings.Split(line, ",")
	for i, entry := range entries {
		if ip, ok := clientaddr.Parse(entry); ok {
			entries[i] = ip.String()
		}
	}
	return strings.Join(entries, ",")
}

// allowOrigins lets the scripts of these origins in. There are no cookies, so
// credentials are never allowed: a script must know its token. It may send any
// header: a traced page adds some to each of its requests. PUT is for the
// refusals of a check, which allows any method.
func allowOrigins(origins []string) func(http.Handler) http.Handler {
	return cors.Handler(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{dpop.NonceHeader, "ETag", rateHeader, ratePolicyHeader, "Retry-After", "WWW-Authenticate", requestIDHeader},
		MaxAge:         int((10 * time.Minute).Seconds()),
	})
}
