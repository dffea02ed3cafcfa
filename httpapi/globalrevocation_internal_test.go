package httpapi

import "testing"

// RFC 9493 §3: an identifier has the members of its format and no others. Everything else names no subject, and the
// error names the member.
func TestSubjectIdentifiers(t *testing.T) {
	t.Parallel()
	s := &Server{cfg: Config{Issuer: "https://id.example.com"}}
	for body, want := range map[string]string{
		`{"sub_id":{"format":"opaque","id":"ann"}}`:                                  "ann",
		`{"subject":{"format":"email","email":"ann@example.com"}}`:                   "ann@example.com",
		`{"sub_id":{"format":"iss_sub","iss":"https://id.example.com","sub":"ann"}}`: "ann",
		`{}`:                                                                             "invalid_member /sub_id",
		`{"sub_id":{"id":"ann"}}`:                                                        "invalid_member /sub_id/format",
		`{"subject":{"format":"uri"}}`:                                                   "invalid_member /subject/format",
		`{"sub_id":{"format":"opaque"}}`:                                                 "invalid_member /sub_id/id",
		`{"subject":{"format":"opaque","id":""}}`:                                        "invalid_member /subject/id",
		`{"sub_id":{"format":"email"}}`:                                                  "invalid_member /sub_id/email",
		`{"sub_id":{"format":"email","email":""}}`:                                       "invalid_member /sub_id/email",
		`{"sub_id":{"format":"iss_sub","sub":"a"}}`:                                      "invalid_member /sub_id/iss",
		`{"sub_id":{"format":"iss_sub","iss":"","sub":"a"}}`:                             "invalid_member /sub_id/iss",
		`{"sub_id":{"format":"iss_sub","iss":"https://id.example.com"}}`:                 "invalid_member /sub_id/sub",
		`{"sub_id":{"format":"iss_sub","iss":"https://id.example.com","sub":""}}`:        "invalid_member /sub_id/sub",
		`{"sub_id":{"format":"opaque","id":"a","email":"a"}}`:                            "invalid_member /sub_id/email",
		`{"sub_id":{"format":"opaque","id":"a","iss":"https://id.example.com"}}`:         "invalid_member /sub_id/iss",
		`{"sub_id":{"format":"opaque","id":"a","sub":""}}`:                               "invalid_member /sub_id/sub",
		`{"sub_id":{"format":"email","id":"a","email":"a"}}`:                             "invalid_member /sub_id/id",
		`{"sub_id":{"format":"opaque","id":"a"},"subject":{"format":"opaque","id":"a"}}`: "invalid_member /subject",
		`{"sub_id":{"format":"iss_sub","iss":"https://id.example.org","sub":"ann"}}`:     "subject_not_found /sub_id/iss",
		`{"subject":{"format":"iss_sub","iss":"https://id.example.com/","sub":"ann"}}`:   "subject_not_found /subject/iss",
	} {
		request, err := parseJSON[globalRevocation]([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		var got string
		named, pointer, err := request.named()
		if err == nil {
			got, err = s.subjectOf(*named, pointer)
		}
		if err != nil {
			p := asProblem(t, err)
			if got != "" || p.detail == "" {
				t.Errorf("%s: %q with %+v", body, got, p)
			}
			got = string(p.code) + " " + p.pointer
		}
		if got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}
