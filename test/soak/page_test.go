package soak_test

import "context"

// loadPage is a page load of a browser whose server renders: the server refreshes with what the browser's cookies have,
// looks at the new pair without confirming it, and sets it with its answer. One load in twenty is given up before that
// has arrived. On other loads the browser brings what it has got before, and that is a use.
func (t *tab) loadPage() {
	s := t.user.soak
	if t.dice.IntN(3) == 0 {
		t.use("loads a picture", t.client.introspect)
		return
	}
	// The time counts from before the cookies were read.
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	p, v := t.present(ctx)
	if v != accepted {
		return
	}
	v = t.client.introspectUnconfirmed(ctx, p)
	t.user.note("the server of %s has introspected %d: %s", t.name, p.generation, v)
	if t.dice.IntN(20) == 0 {
		t.user.note("%s gives the page up", t.name)
		s.tally.add("pages: given up")
		return
	}
	t.user.store(ctx, p)
	s.tally.add("pages: rendered")
}
