package httpapi_test

import "testing"

// A proof is no way around a session's limit: a token that is not bound counts with
// one as well, and with any.
func TestUnboundTokenCountsWithAProof(t *testing.T) {
	t.Parallel()
	s := setup(t, withSessionLimit(4))
	session := s.create(t, "ann")
	s.refreshWith(t, session.refresh, newDevice(t).atTokenEndpoint(t)).want(t, 200).wantRates(t, `"session";q=4;w=60`, `"session";r=3;t=15`)
}
