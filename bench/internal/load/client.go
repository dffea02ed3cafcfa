package load

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// answerPatience is after what time a server that does not answer counts as broken.
const answerPatience = 30 * time.Second

// Conn is one keep-alive HTTP/1.1 connection, for one goroutine. It costs a fraction of what net/http's client does, as
// client and server share the processor: requests are bytes that the caller has prepared, and of an answer only what is
// needed to find its end is read.
type Conn struct {
	conn net.Conn
	buf  []byte
	used time.Time
}

// Dial connects to a host and port.
func Dial(address string) (*Conn, error) {
	conn, err := net.DialTimeout("tcp", address, 5*time.Second) //nolint:noctx // to this machine, where it takes no time
	if err != nil {
		return nil, err
	}

	return &Conn{conn: conn, buf: make([]byte, 16<<10)}, nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Do sends a request and returns the answer's status, header and body. They are valid until the next call.
func (c *Conn) Do(request []byte) (status int, header, body []byte, err error) {
	// A deadline costs a timer each: a new one a second is enough to notice a server that hangs.
	if now := time.Now(); now.Sub(c.used) > time.Second {
		c.used = now
		if err := c.conn.SetDeadline(now.Add(answerPatience)); err != nil {
			return 0, nil, nil, err
		}
	}
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, nil, err
	}

	have, end := 0, -1
	for end < 0 {
		if have == len(c.buf) {
			return 0, nil, nil, errors.New("the answer's header is too long")
		}
		n, err := c.conn.Read(c.buf[have:])
		if err != nil {
			return 0, nil, nil, fmt.Errorf("read the answer: %w", err)
		}
		from := max(0, have-3)
		have += n
		if at := bytes.Index(c.buf[from:have], []byte("\r\n\r\n")); at >= 0 {
			end = from + at + 4
		}
	}
	header = c.buf[:end]
	status, length, err := parseHeader(header)
	if err != nil {
		return 0, nil, nil, err
	}
	if end+length > len(c.buf) {
		grown := make([]byte, end+length)
		copy(grown, c.buf[:have])
		c.buf, header = grown, grown[:end]
	}
	for have < end+length {
		n, err := c.conn.Read(c.buf[have : end+length])
		if err != nil {
			return 0, nil, nil, fmt.Errorf("read the answer's body: %w", err)
		}
		have += n
	}
	if have > end+length {
		return 0, nil, nil, errors.New("something follows the answer")
	}

	return status, header, c.buf[end : end+length], nil
}

// parseHeader reads what is needed of an answer of Go's net/http server.
func parseHeader(header []byte) (status, length int, err error) {
	const first = "HTTP/1.1 200"
	if len(header) < len(first) || !bytes.HasPrefix(header, []byte("HTTP/1.1 ")) {
		return 0, 0, fmt.Errorf("this is no HTTP/1.1 answer: %.40q", header)
	}
	if status, err = strconv.Atoi(string(header[9:12])); err != nil {
		return 0, 0, fmt.Errorf("this is no status: %.40q", header)
	}
	if status == 204 || status == 304 {
		return status, 0, nil
	}
	text, ok := Header(header, "Content-Length")
	if !ok {
		return 0, 0, fmt.Errorf("the answer (%d) has no Content-Length", status)
	}
	if length, err = strconv.Atoi(string(text)); err != nil || length < 0 {
		return 0, 0, fmt.Errorf("the answer's Content-Length is %q", text)
	}

	return status, length, nil
}

// Header returns a field of an answer's header. The name has to be spelt as the server does.
func Header(header []byte, name string) ([]byte, bool) {
	at := bytes.Index(header, []byte("\r\n"+name+": "))
	if at < 0 {
		return nil, false
	}
	value, _, found := bytes.Cut(header[at+len(name)+4:], []byte("\r"))

	return value, found
}
