package httpapi

import (
	"log/slog"
	"net/http"
	"slices"
	"time"
)

// livenessPath is on both listeners: a load balancer reaches only the public one.
const livenessPath = "/livez"

// probes are routes that monitoring calls constantly.
var probes = []string{livenessPath, "/readyz", "/metrics"}

// accessLog writes one line for each request. It has the route's pattern, not
// the path, and of the caller's input only the method, the request id and the
// address: tokens turn up in unexpected places. (go-chi/httplog puts the raw URL
// into its message, which cannot be turned off.)
func accessLog(logger *slog.Logger) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start, ctx := time.Now(), r.Context()
			info := infoOf(r)
			info.answer.ResponseWriter = w
			defer func() {
				route, level := routeOf(r), levelOf(info)
				if level == slog.LevelInfo && slices.Contains(probes, route) {
					level = slog.LevelDebug
				}
				logger.LogAttrs(ctx, level, "request", describeProblem(append(make([]slog.Attr, 0, mostAttrs),
					slog.String("method", methodOf(r)),
					slog.String("route", route),
					slog.Int("status", info.answer.status),
					slog.Int("bytes", info.answer.bytes),
					slog.Float64("duration_ms", float64(time.Since(start).Microseconds())/1e3),
					slog.String("client", info.client),
				), info)...)
			}()
			next.ServeHTTP(&info.answer, r)
		})
	}
}

// mostAttrs is the most attributes that a line has.
const mostAttrs = 12

// levelOf returns the level of a line. A problem has a cause only if the fault is
// ours: an error of the database or the code, never of the input.
func levelOf(info *requestInfo) slog.Level {
	if info.problem != nil && info.problem.cause != nil {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// describeProblem appends what was noted on the way.
func describeProblem(attrs []slog.Attr, info *requestInfo) []slog.Attr {
	attrs = append(attrs, slog.String("request_id", info.id))
	if info.serviceKey != "" {
		attrs = append(attrs, slog.String("service_key", info.serviceKey))
	}
	if info.outcome != "" {
		attrs = append(attrs, slog.String("outcome", info.outcome))
	}
	if info.refusal != "" {
		attrs = append(attrs, slog.String("reason", info.refusal))
	}
	if info.problem == nil {
		return attrs
	}
	attrs = append(attrs, slog.String("code", string(info.problem.code)))
	if info.problem.reason != "" {
		attrs = append(attrs, slog.String("reason", info.problem.reason))
	}
	if info.problem.cause != nil {
		attrs = append(attrs, slog.Any("error", info.problem.cause))
	}
	return attrs
}
