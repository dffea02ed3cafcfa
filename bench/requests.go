package main

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/latchkey-sessions/latchkey/bench/internal/load"
	"github.com/latchkey-sessions/latchkey/bench/internal/population"
	"github.com/latchkey-sessions/latchkey/bench/internal/service"
)

const (
	formType = "application/x-www-form-urlencoded"
	jsonType = "application/json"
)

// request is one worker's: its bytes are used again for each call.
type request struct {
	conn *load.Conn
	text []byte
}

// requests returns one for each connection.
func requests(conns []*load.Conn) []*request {
	all := make([]*request, len(conns))
	for i, conn := range conns {
		all[i] = &request{conn: conn}
	}

	return all
}

// to begins a request as a browser's would begin. What is to follow of the header, each line with its end, is keyed or
// nothing.
func (r *request) to(method, path, more string) *request {
	r.text = append(r.text[:0], method...)
	r.text = append(append(r.text, ' '), path...)
	r.text = append(r.text, " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: "+population.UserAgent+"\r\nAccept: */*\r\n"...)
	r.text = append(r.text, more...)

	return r
}

// keyed is the service key, in a header's line.
const keyed = "Authorization: Bearer " + service.Key + "\r\n"

// with ends the header, and adds a body of so many parts.
func (r *request) with(contentType string, body ...string) *request {
	length := 0
	for _, part := range body {
		length += len(part)
	}
	if contentType != "" {
		r.text = append(append(append(r.text, "Content-Type: "...), contentType...), "\r\n"...)
	}
	r.text = append(r.text, "Content-Length: "...)
	r.text = append(strconv.AppendInt(r.text, int64(length), 10), "\r\n\r\n"...)
	for _, part := range body {
		r.text = append(r.text, part...)
	}

	return r
}

// send returns the body of the answer, which must have the wanted status. It is valid until the next request.
func (r *request) send(want int) ([]byte, error) {
	status, _, body, err := r.conn.Do(r.text)
	if err != nil {
		return nil, err
	}
	if status != want {
		return nil, fmt.Errorf("the answer is %d, not %d: %s", status, want, body)
	}

	return body, nil
}

// member returns a string member of a JSON document that needs no decoding: a token, an id.
func member(body []byte, name string) (string, error) {
	_, rest, found := bytes.Cut(body, []byte(`"`+name+`":"`))
	value, _, ends := bytes.Cut(rest, []byte(`"`))
	if !found || !ends {
		return "", fmt.Errorf("the answer has no %s", name)
	}

	return string(value), nil
}
