package testservice

import (
	"bytes"
	"sync"
)

// Output is the output of a process, readable while it
// runs.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write is for the process.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns what was printed until now.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
