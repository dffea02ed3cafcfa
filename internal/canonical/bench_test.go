package canonical_test

import (
	"testing"

	"github.com/latchkey-sessions/latchkey/internal/canonical"
)

func BenchmarkChecksum(b *testing.B) {
	data := []byte(`{"user": {"name": "Ada", "roles": ["admin", "author"]}, "cart": [{"sku": "A-17", "n": 2}, {"sku": "B-3", "n": 1}], "locale": "en-GB", "total": 129.90}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		form, err := canonical.Form(data)
		if err != nil {
			b.Fatal(err)
		}
		canonical.Sum(form)
	}
}
