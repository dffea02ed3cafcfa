package httpapi_test

import "testing"

// Each format of an identifier that can name a subject does so, and ends all their sessions.
func TestGlobalRevocation(t *testing.T) {
	t.Parallel()
	s := setup(t)
	bystander := s.create(t, "eve")
	for _, body := range []string{
		`{"sub_id":{"format":"opaque","id":"ada@example.com"}}`,
		`{"sub_id":{"format":"email","email":"ada@example.com"}}`,
		`{"sub_id":{"format":"iss_sub","iss":"` + testIssuer + `","sub":"ada@example.com"}}`,
		`{"subject":{"format":"email","email":"ada@example.com"}}`, // before -03, and as Okta documents it
		`{"subject":{"format":"iss_sub","iss":"` + testIssuer + `","sub":"ada@example.com"}}`,
	} {
		one, two := s.create(t, "ada@example.com"), s.create(t, "ada@example.com")
		for range 2 { // once more, when there is none left
			s.internal(t, "POST", "/v1/global-token-revocation", jsonBody(body)).want(t, 204)
		}
		if s.accepted(t, one.access) || s.accepted(t, two.access) {
			t.Errorf("%s: a session is live", body)
		}
		s.public(t, "POST", "/oauth2/token", form("grant_type", "refresh_token", "refresh_token", one.refresh)).wantProblem(t, 400, "invalid_grant")
	}
	if !s.accepted(t, bystander.access) {
		t.Error("another user was signed out")
	}
}

// An unknown subject, or one named in an unsupported way, is an error.
func TestGlobalRevocationOfNobody(t *testing.T) {
	t.Parallel()
	s := setup(t)
	ada := s.create(t, "ada")
	for body, want := range map[string]struct {
		status int
		code   string
	}{
		`{"sub_id":{"format":"opaque","id":"eve"}}`:                                          {404, "subject_not_found"},
		`{"sub_id":{"format":"iss_sub","iss":"https://idp.example.com","sub":"ada"}}`:        {404, "subject_not_found"},
		`{"sub_id":{"format":"uri","uri":"ada"}}`:                                            {400, "unknown_member"},
		`{"sub_id":{"format":"account","id":"ada"}}`:                                         {400, "invalid_member"},
		`{"sub_id":{"format":"email","id":"ada"}}`:                                           {400, "invalid_member"},
		`{"sub_id":{"format":"opaque","id":""}}`:                                             {400, "invalid_member"},
		`{"sub_id":{"format":"opaque","id":"a\u0000"}}`:                                      {400, "invalid_member"},
		`{"sub_id":{"format":"opaque","id":"ada","sub":"eve"}}`:                              {400, "invalid_member"},
		`{"sub_id":{"id":"ada"}}`:                                                            {400, "invalid_member"},
		`{"sub_id":{"format":"opaque","id":"ada"},"subject":{"format":"opaque","id":"ada"}}`: {400, "invalid_member"},
		`{"subject":{"format":"opaque","id":""}}`:                                            {400, "invalid_member"},
		`{"subject":"ada"}`:                                                                  {400, "invalid_member"},
		`{}`:                                                                                 {400, "invalid_member"},
	} {
		s.internal(t, "POST", "/v1/global-token-revocation", jsonBody(body)).wantProblem(t, want.status, want.code)
	}
	if !s.accepted(t, ada.access) {
		t.Error("the user was signed out")
	}
}
