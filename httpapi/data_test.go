package httpapi_test

import (
	"net/http"
	"strconv"
	"sync"
	"testing"
)

func (s *service) put(t *testing.T, id, etag, data string) response {
	t.Helper()
	return s.internal(t, "PUT", "/v1/sessions/"+id+"/data", header("If-Match", etag), jsonBody(data))
}

func TestPutData(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	first := `"` + session.checksum + `"`

	answer := s.put(t, session.id, first, `{"n":9007199254740993}`).want(t, 200)
	second := answer.Header.Get("ETag")
	if m := answer.json(t); m["id"] != session.id || `"`+at[string](t, m, "checksum")+`"` != second || second == first {
		t.Errorf("%v, ETag %s", m, second)
	}
	before := s.internal(t, "GET", "/v1/sessions/"+session.id).json(t)

	// The same content, spelt otherwise: nothing is written.
	if got := s.put(t, session.id, second, `{ "n" : 9007199254740993.0 }`).want(t, 200).Header.Get("ETag"); got != second {
		t.Errorf("ETag %s, want %s", got, second)
	}
	if after := s.internal(t, "GET", "/v1/sessions/"+session.id).json(t); after["updated_at"] != before["updated_at"] {
		t.Error("unchanged data was written")
	}

	// A stale version is refused with the present one, even if it would change nothing.
	for _, data := range []string{`{"n":1}`, `{"note":"` + secretData + `"}`} {
		conflict := s.put(t, session.id, first, data)
		conflict.wantProblem(t, 412, "checksum_mismatch")
		if got := conflict.Header.Get("ETag"); got != second {
			t.Errorf("%s: ETag %s, want %s", data, got, second)
		}
	}
}

func TestPutDataRefusals(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session, ended := s.create(t, "ann"), s.create(t, "ann")
	s.internal(t, "DELETE", "/v1/sessions/"+ended.id).want(t, 204)
	current := `"` + session.checksum + `"`

	s.internal(t, "PUT", "/v1/sessions/"+session.id+"/data", jsonBody(`{}`)).wantProblem(t, 428, "precondition_required")
	for _, etag := range []string{
		"", "*", `W/` + current, current + `, "b"`, session.checksum, `"`, `""`, `"a"b"`, `"` + session.checksum, "'a'",
	} {
		m := s.put(t, session.id, etag, `{}`).wantProblem(t, 400, "invalid_parameter")
		if m["parameter"] != "If-Match" {
			t.Errorf("%s: %v", etag, m)
		}
	}
	s.internal(t, "PUT", "/v1/sessions/"+session.id+"/data",
		header("If-Match", current), header("If-Match", current), jsonBody(`{}`)).wantProblem(t, 400, "invalid_parameter")

	// An ended or unknown session is found out even where nothing would be written.
	const unknown = "01978f3e-6c1a-7b5e-9d1f-2f0c6d7e8a91"
	for _, data := range []string{`{}`, `{"note":"` + secretData + `"}`} {
		s.put(t, unknown, current, data).wantProblem(t, 404, "session_not_found")
		s.put(t, ended.id, current, data).wantProblem(t, 409, "session_ended")
	}

	for data, code := range map[string]string{
		``: "malformed_body", `{"a":1}{}`: "malformed_body", `null`: "invalid_member", `[]`: "invalid_member", `1`: "invalid_member",
		`{"a":1,"a":1}`: "duplicate_member", `{"a":"\u0000"}`: "invalid_member",
	} {
		s.put(t, session.id, current, data).wantProblem(t, 400, code)
	}
	if got := s.internal(t, "GET", "/v1/sessions/"+session.id).Header.Get("ETag"); got != current {
		t.Error("a refused request had an effect")
	}
}

// Of concurrent writers that read the same version exactly one succeeds.
func TestPutDataLosesNoUpdate(t *testing.T) {
	t.Parallel()
	s := setup(t)
	session := s.create(t, "ann")
	var statuses [16]int
	var writers sync.WaitGroup
	for i := range statuses {
		writers.Go(func() {
			statuses[i] = s.put(t, session.id, `"`+session.checksum+`"`, `{"writer":`+strconv.Itoa(i)+`}`).StatusCode
		})
	}
	writers.Wait()
	count := map[int]int{}
	winner := -1
	for i, status := range statuses {
		count[status]++
		if status == http.StatusOK {
			winner = i
		}
	}
	if count[200] != 1 || count[412] != 15 {
		t.Fatalf("%v", count)
	}
	data := at[map[string]any](t, s.internal(t, "GET", "/v1/sessions/"+session.id).json(t), "data")
	if data["writer"] != float64(winner) {
		t.Errorf("%v was stored, %d won", data, winner)
	}
}
