package httpapi_test

import "testing"

// A proof does not bypass a session's limit: an unbound token counts even with a
// proof, whatever its key.
func TestUnboundTokenCountsWithAProof(t *testing.T) {
	t.Parallel()
	s := setup(t, withSessionLimit(4))
	session := s.create(t, "ann")
	s.refreshWith(t, session.refresh, newDevice(t).atTokenEndpoint(t)).want(t, 200).wantRates(t, `"session";q=4;w=60`, `"session";r=3;t=15`)
}
