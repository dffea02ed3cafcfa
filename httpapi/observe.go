package httpapi

import (
	"net/http"
	"slices"
	"time"
)

// Observer is told of requests, for metrics and traces: see [Config].Observers.
// It is called on the way of each request, by many goroutines, and so must not
// wait.
type Observer interface {
	// Begin is called when a request has arrived at a listener, "public" or
	// "internal". It returns the request that is answered: the given one, or the
	// same with a context that was made from its.
	Begin(listener string, r *http.Request) *http.Request
	// End is called when it was answered, with the request that Begin returned.
	End(r *http.Request, answer Answer)
}

// Answer tells what became of a request. All of it are words and numbers of our
// own: nothing that a caller could make up.
type Answer struct {
	// Listener is "public" or "internal".
	Listener string
	// Method is a common method, else "other".
	Method string
	// Route is the pattern that the path matched, such as /v1/sessions/{id}, else "none".
	Route string
	// Status is that of the answer, 0 where there was none.
	Status int
	// Duration is how long it took to answer.
	Duration time.Duration
	// Problem is the code of the problem that was the answer, empty if there was none.
	Problem string
}

// observe tells the observers of each request.
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
