//go:build !race

package sessionstore_test

import "testing"

// How often each operation allocates, the driver included. It does not depend
// on the machine. A change that needs more says why, and raises the number;
// one that needs fewer lowers it.
var mostAllocations = map[string]float64{
	"Create":                 35,
	"Get":                    12,
	"Load":                   11,
	"RefreshTokens":          59, // 38 are of golang-jwt, which checks the presented token, and 11 of two signatures
	"Update":                 15,
	"Update, unchanged":      3,
	"Patch":                  88, // it is a batch, as SetClaims is, and locks the session first
	"SetClaims":              77, // 22 are of the transaction, as of Invalidate
	"SetClaims, superseding": 77,
	"LoadClaims":             16,
	"Invalidate":             67, // 22 are of the transaction, which says its isolation level
	"InvalidateSubject":      90, // of three statements, the first for the lock of the subject
	"FindDue":                66, // 20 are of the transaction's begin and end, as of RemoveDue
	"RemoveDue":              94,
	"List":                   37,
}

//nolint:paralleltest // others would allocate meanwhile
func TestAllocations(t *testing.T) {
	store, _ := one(t, rotating())
	for _, op := range everyOperation(t, store) {
		name, do := op.name, op.do
		var failed error
		got := testing.AllocsPerRun(200, func() {
			if err := do(); err != nil {
				failed = err
			}
		})
		if failed != nil {
			t.Fatalf("%s: %v", name, failed)
		}
		t.Logf("%s allocates %v times", name, got)
		if most := mostAllocations[name]; got > most {
			t.Errorf("%s allocates %v times, at most %v are allowed", name, got, most)
		}
	}
}
