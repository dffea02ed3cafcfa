package verifier

import (
	"cmp"
	"slices"
)

// maxHistory is how many revocations are kept to be passed on. A reader that
// lags further behind must ask the source.
const maxHistory = 1 << 17

// history is the recent changes to a set, for its feed.
type history struct {
	// name distinguishes this set's versions from another's.
	name string
	// most is how many revocations are kept: maxHistory.
	most    int
	batches []versioned
	size    int
	// whole is the version that began with a full set; forgotten is the last
	// version whose sessions are no longer kept.
	whole, forgotten uint64
	// changed is closed at the next proof.
	changed chan struct{}
}

type versioned struct {
	version  uint64
	sessions []Revocation
}

func (h *history) add(version uint64, sessions []Revocation, whole bool) {
	switch {
	case whole:
		h.forget(version)
		h.whole = version
	case len(sessions) > 0:
		h.batches, h.size = append(h.batches, versioned{version, sessions}), h.size+len(sessions)
		drop := 0
		for ; h.size > h.most; drop++ {
			h.size -= len(h.batches[drop].sessions)
			h.forgotten = h.batches[drop].version
		}
		h.batches = slices.Delete(h.batches, 0, drop)
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// forget forgets everything up to a version.
func (h *history) forget(version uint64) {
	h.batches, h.size, h.forgotten = nil, 0, version
}

// since returns what was revoked after a version that is not forgotten.
func (h *history) since(version uint64) []Revocation {
	i, _ := slices.BinarySearchFunc(h.batches, version+1, func(b versioned, v uint64) int { return cmp.Compare(b.version, v) })
	var sessions []Revocation
	for _, b := range h.batches[i:] {
		sessions = append(sessions, b.sessions...)
	}
	return sessions
}
