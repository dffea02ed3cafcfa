package audit_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/latchkey-sessions/latchkey/audit"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// BenchmarkTrail measures what an event costs the caller of a change, while its line
// is being written, and what it costs a read, which leaves no event.
func BenchmarkTrail(b *testing.B) {
	for name, result := range map[string]sessionstore.Result{
		"create": {Operation: sessionstore.OperationCreate, Changed: session, Subject: "ada"},
		"get":    {Operation: sessionstore.OperationGet},
	} {
		b.Run(name, func(b *testing.B) {
			file, err := audit.OpenFile(filepath.Join(b.TempDir(), "audit.log"))
			if err != nil {
				b.Fatal(err)
			}
			trail, err := audit.New(audit.Config{Output: file, Buffer: 1 << 20})
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			done := make(chan error, 1)
			go func() { done <- trail.Run(ctx) }()
			observer := trail.Sessions()
			b.ReportAllocs()
			for b.Loop() {
				observer.End(ctx, result)
			}
			b.StopTimer()
			stop()
			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}
