package sessionstore

import "testing"

func BenchmarkChecksum(b *testing.B) {
	data := []byte(`{"user": {"name": "Ada", "roles": ["admin", "author"]}, "cart": [{"sku": "A-17", "n": 2}, {"sku": "B-3", "n": 1}], "locale": "en-GB", "total": 129.90}`)
	b.ReportAllocs()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Checksum(data); err != nil {
			b.Fatal(err)
		}
	}
}
