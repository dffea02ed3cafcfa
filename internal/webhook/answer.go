package webhook

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// RefusedError says that a receiver answered, but did not accept the message.
type RefusedError struct {
	// retryAfter is how long the receiver asks to be sent nothing (RFC 9110 §10.2.3), up to LastPause; zero if it does
	// not say.
	retryAfter time.Duration
	text       string
}

// RetryAfter is how long the receiver whose answer an error represents asks to be sent nothing, up to [LastPause]; zero
// if it does not say.
func RetryAfter(err error) time.Duration {
	if refused, ok := errors.AsType[*RefusedError](err); ok {
		return refused.retryAfter
	}
	return 0
}

// Error is worded to follow the name of the receiver.
func (e *RefusedError) Error() string { return e.text }

// answer is a receiver's answer, with the beginning of the body.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// retryAfter reads the header. A date counts from that of the answer, since no local clock need be
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
