//go:build linux

package failover_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// figures are what was seen in one fault.
type figures struct {
	address, fault string
	// noWrites is how long PostgreSQL took none, noRefreshes for how long there were none; lateBy of it is the address's.
	noWrites, noRefreshes, lateBy time.Duration
	refreshes, unavailable        int
	falseLogOuts, other5xx        int64
	revoked, late, lost, anew     int
	strict                        time.Duration
}

// own is the service's part, including that of the components in front of PostgreSQL.
func (f figures) own() time.Duration { return max(0, f.noRefreshes-f.noWrites-f.lateBy) }

const heading = `| address | what happens | PostgreSQL takes no writes | no refreshes | of that ours | refreshes | 503 | other 5xx | false log-outs | revocations | accepted past the bound | lost | done again |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
`

func table(rows []figures) string {
	var b strings.Builder
	b.WriteString(heading)
	for _, f := range rows {
		fmt.Fprintf(&b, "| %s | %s | %.1f s | %.1f s | %.1f s | %d | %d | %d | %d | %d | %d | %d | %d |\n",
			f.address, f.fault, f.noWrites.Seconds(), f.noRefreshes.Seconds(), f.own().Seconds(),
			f.refreshes, f.unavailable, f.other5xx, f.falseLogOuts, f.revoked, f.late, f.lost, f.anew)
	}
	return b.String()
}

const (
	page       = "../../docs/failover.md"
	begin, end = "<!-- measured by make failover -->\n", "<!-- end -->\n"
)

// write replaces the table of the page.
func write(t *testing.T, rows []figures) {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), begin)
	_, after, ends := strings.Cut(rest, end)
	if !found || !ends {
		t.Fatalf("%s has no place for the figures", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+"\n"+table(rows)+"\n"+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}
