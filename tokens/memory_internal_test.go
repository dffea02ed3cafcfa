package tokens

import "testing"

// Exactly as many tokens are remembered as
// configured.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for remember, want := range map[int]uint64{0: defaultRemember, 1: 1, 8: 8} {
		cfg, err := Config{Issuer: "https://id.example.com", Audience: "api", Remember: remember}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		m, err := newMemory(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.cache.GetMaximum(); got != want {
			t.Errorf("%d are to be remembered, %d are", remember, got)
		}
	}
	if m, err := newMemory(Config{Remember: -1}); m != nil || err != nil {
		t.Errorf("none are to be remembered: %v, %v", m, err)
	}
}
