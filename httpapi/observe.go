package httpapi

import (
	"net/http"
	"slices"
	"time"
)

// Observer is notified of requests, for metrics and traces: see
// [Config].Observers. It is called during each request, by many goroutines, so
// it must not block.
type Observer interface {
	// Begin is called when a request has arrived at a listener, "public" or
	// "internal". It returns the request to answer: the given one, or a copy
	// with a context derived from its context.
	Begin(listener string, r *http.Request) *http.Request
	// End is called when the request was answered, with the request that Begin returned.
	End(r *http.Request, answer Answer)
}

// Answer is the result of a request. All of it are our own words and numbers:
// nothing that a caller could make up.
type Answer struct {
	// Listener is "public" or "internal".
	Listener string
	// Method is a common method, else "other".
	Method string
	// Route is the pattern that the path matched, such as /v1/sessions/{id}, else "none".
	Route string
	// Status is that of the answer, 0 where there was none.
	Status int
	// Duration is how long answering took.
	Duration time.Duration
	// Problem is the code of the problem that was answered, empty if there was none.
	Problem string
}

// observe notifies the observers of each request.
func observe(listener string, observers []Observer) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			start := time.Now()
			for _, o := range observers {
				r = o.Begin(listener, r)
			}
			defer func() {
				info := infoOf(r)
				answer := Answer{
					Listener: listener, Method: methodOf(r), Route: routeOf(r),
					Status: info.answer.status, Duration: time.Since(start),
				}
				if info.problem != nil {
					answer.Problem = string(info.problem.code)
				}
				for _, o := range slices.Backward(observers) {
					o.End(r, answer)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}
