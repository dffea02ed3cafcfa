package settings

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseShards(t *testing.T) {
	t.Parallel()
	const east, west = "postgres://u:p,=;@db2.example.com/latchkey?sslmode=disable&application_name=a", "postgres://db3.example.com/latchkey"
	got, is := parseShards(" west.direct=" + east + " east=" + east + "\n\twest:0.25=" + west + " first:0\n")
	want := shardURLs{{Name: "east", Weight: 1, URL: east}, {Name: "west", Weight: 0.25, URL: west, Direct: east}, {Name: "first"}}
	if diff := cmp.Diff(want, got); is != "" || diff != "" {
		t.Errorf("%s, -want +got:\n%s", is, diff)
	}
	s := Database{Shards: got}
	if len(s.FurtherShards()) != 2 || s.FirstWeight() != 0 || (Database{}).FirstWeight() != 1 {
		t.Errorf("%d further shards, the first one's weight is %g", len(s.FurtherShards()), s.FirstWeight())
	}
	for text, want := range map[string]string{
		"":                                      "names no shard but the first",
		"first:1":                               "names no shard but the first",
		"first=" + east:                         "only a weight",
		"first east=" + east:                    "only a weight",
		"east":                                  "has no address",
		"East=" + east:                          "has no name",
		east:                                    "not a number",
		"east=" + east + " east=" + west:        "twice",
		"east:-1=" + east:                       "not a number",
		"east:NaN=" + east:                      "not a number",
		"east:1e9=" + east:                      "not a number",
		"east=host=db2.example.com":             "not a URL",
		"east=postgres://secret@:x/":            "the address of east",
		"first:0 east:0=" + east:                "all weights are 0",
		"east=" + east + " west.direct=" + west: "west.direct is not next to",
		"east=" + east + " first:1 first.direct=" + west:                 "first.direct is not next to",
		"east.direct=" + east + " east.direct=" + west + " east=" + east: "east.direct is there twice",
		"east.direct=postgres://secret@:x/ east=" + east:                 "the address of east",
		"east.direct east=" + east:                                       "not a URL",
		".direct=" + east:                                                "has no name",
	} {
		got, is := parseShards(text)
		if !strings.Contains(is, want) || got != nil || strings.Contains(is, "secret") {
			t.Errorf("%q: %v, %q; want %q", text, got, is, want)
		}
	}
}

// Settings that do not work with shards are refused at the start.
func TestShardsRefuse(t *testing.T) {
	t.Parallel()
	database := Database{DatabaseURL: "postgres://db1.example.com/latchkey", Shards: shardURLs{{Name: "east", Weight: 1, URL: "postgres://db2.example.com/latchkey"}}}
	if err := (&Serve{Database: database}).checkShards(); err != nil {
		t.Fatal(err)
	}
	for setting, change := range map[string]func(*Serve){
		"LATCHKEY_COMPAS_SIGNING_KEY":  func(s *Serve) { s.CompasSigningKey = "x" },
		"LATCHKEY_DATABASE_URL is not": func(s *Serve) { s.DatabaseURL = "" },
	} {
		s := &Serve{Database: database}
		change(s)
		if err := s.checkShards(); err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%s: %v", setting, err)
		}
	}
}
