package webhook

import (
	"net/http"
	"strconv"
	"time"
)

// RefusedError says that a receiver answered, and did not take the message.
type RefusedError struct {
	// RetryAfter is for how long the receiver wants to be sent nothing (RFC 9110 §10.2.3); zero
	// where it does not say so.
	RetryAfter time.Duration
	text       string
}

// Error goes on after the name of whoever was to take the message.
func (e *RefusedError) Error() string { return e.text }

// answer is what a receiver answers, with the beginning of the body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// refusal is the answer as an error.
func (a answer) refusal(text string) error { return &RefusedError{a.retryAfter(), text} }

// retryAfter reads the header. A date counts from that of the answer, since no clock here has to be
// right.
func (a answer) retryAfter() time.Duration {
	text := a.header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	at, err := http.ParseTime(text)
	from, errFrom := http.ParseTime(a.header.Get("Date"))
	if err != nil || errFrom != nil {
		return 0
	}
	return max(0, at.Sub(from))
}
