package soak_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// The hosts of the two listeners, which are the same whichever process answers.
const (
	publicURL   = "http://public"
	internalURL = "http://internal"

	refreshPath = "/oauth2/token"
)

// fault is what happens to a request.
type fault string

const (
	noFault     fault = "delivered"
	requestLost fault = "request lost"
	requestLate fault = "request late"
	requestCut  fault = "cut in the middle"
	twice       fault = "request doubled"
	answerLost  fault = "answer lost"
	answerLate  fault = "answer late"
)

// faults have their shares of a hundred: first that of a refresh, then that of any other request. The rest is delivered.
var faults = []struct {
	fault          fault
	refresh, other int
}{{requestLost, 5, 3}, {requestLate, 15, 3}, {requestCut, 6, 3}, {twice, 5, 3}, {answerLost, 12, 3}, {answerLate, 15, 3}}

// network is the way to the services, with a balancer that does not always notice which of them is there.
type network struct {
	soak      *soak
	transport *http.Transport
	calm      atomic.Bool
}

// line is one goroutine's way into the network.
type line struct {
	network *network
	dice    *rand.Rand
}

// answer has status 0 where there was none.
type answer struct {
	status int
	body   []byte
}

// send answers no later than the request's context ends.
func (l *line) send(r *http.Request) answer {
	ctx, fault := r.Context(), l.fault(r.URL.Path == refreshPath)
	l.network.soak.tally.add("network: " + string(fault))
	switch fault {
	case requestLost:
		return l.lose(ctx)
	case requestLate:
		if !sleep(ctx, l.delay()) {
			return answer{}
		}
	case requestCut:
		// Mostly within the time that a refresh takes.
		cut, cancel := context.WithTimeout(ctx, between(l.dice, 0, 20*time.Millisecond))
		defer cancel()
		r = r.WithContext(cut)
	case twice:
		return l.forwardTwice(r)
	case answerLost:
		l.forward(r)
		return l.lose(ctx)
	case answerLate:
		a := l.forward(r)
		if !sleep(ctx, l.delay()) {
			return answer{}
		}
		return a
	case noFault:
	}
	return l.forward(r)
}

func (l *line) fault(refresh bool) fault {
	if l.network.calm.Load() {
		return noFault
	}
	n := l.dice.IntN(100)
	for _, f := range faults {
		if refresh {
			n -= f.refresh
		} else {
			n -= f.other
		}
		if n < 0 {
			return f.fault
		}
	}
	return noFault
}

func (l *line) delay() time.Duration { return between(l.dice, 0, patience) }

// lose is a connection that was reset, or silence.
func (l *line) lose(ctx context.Context) answer {
	if l.dice.IntN(2) == 0 {
		<-ctx.Done()
	}
	return answer{}
}

func (l *line) forward(r *http.Request) answer {
	return l.network.forward(r, l.address(r.URL.Host))
}

// forwardTwice is a proxy that repeats what may not have been answered, and passes either answer on.
func (l *line) forwardTwice(r *http.Request) answer {
	answers := make(chan answer, 2)
	for range cap(answers) {
		address := l.address(r.URL.Host)
		go func() { answers <- l.network.forward(r, address) }()
	}
	first, second := <-answers, <-answers
	if first.status == 0 || second.status != 0 && l.dice.IntN(2) == 0 {
		return second
	}
	return first
}

// address returns where a request is sent: seldom nowhere, if a service is there.
func (l *line) address(host string) string {
	services := l.network.soak.services
	first := l.dice.IntN(len(services))
	for i := range services {
		public, internal := services[(first+i)%len(services)].addresses()
		address := public
		if host == "internal" {
			address = internal
		}
		if address != "" || l.dice.IntN(4) == 0 {
			return address
		}
	}
	return ""
}

// forward sends a request and reads the answer.
func (n *network) forward(r *http.Request, address string) answer {
	to, err := url.Parse(address)
	if err != nil || address == "" {
		return answer{}
	}
	q := r.Clone(r.Context())
	q.URL.Scheme, q.URL.Host, q.Host = to.Scheme, to.Host, ""
	if r.GetBody != nil {
		if q.Body, err = r.GetBody(); err != nil {
			return answer{}
		}
	}
	response, err := n.transport.RoundTrip(q)
	if err != nil {
		return answer{}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}
	}
	return answer{response.StatusCode, body}
}
