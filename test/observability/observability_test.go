package observability_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

var promQL = parser.NewParser(parser.Options{})

func file(name string) string { return filepath.Join(root, "deploy", "observability", name) }

// alerts reads the rules, as Prometheus does.
func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile(file("alerts.yml"), false, model.UTF8Validation, promQL, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errors.Join(errs...))
	}
	var rules []rulefmt.Rule
	for _, group := range groups.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

// panel is what the tests look at in one of the dashboard.
type panel struct {
	Title   string `json:"title"`
	Type    string `json:"type"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
	GridPos struct {
		X int `json:"x"`
		Y int `json:"y"`
		W int `json:"w"`
		H int `json:"h"`
	} `json:"gridPos"`
}

func panels(t *testing.T) []panel {
	t.Helper()
	text, err := os.ReadFile(file("dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	return dashboard.Panels
}

// queries are all expressions, by their places.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, rule := range alerts(t) {
		all["alert "+rule.Alert] = rule.Expr
	}
	// The variables that Grafana fills in.
	fill := strings.NewReplacer("$__rate_interval", "1m", "$instance", ".*")
	for _, p := range panels(t) {
		for i, target := range p.Targets {
			all[fmt.Sprintf("panel %q, query %d", p.Title, i+1)] = fill.Replace(target.Expr)
		}
	}
	return all
}

// sample is one of the service's, with the labels that Prometheus adds.
type sample struct {
	labels labels.Labels
	value  float64
}

// parse reads what a scrape was answered with, by the metrics' names. "up" is
// what Prometheus says itself.
func parse(t *testing.T, text []byte) map[string][]sample {
	t.Helper()
	p, err := textparse.New(text, "text/plain; version=0.0.4", nil, textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	target := labels.FromStrings("__name__", "up", "instance", "api-1:8081", "job", "latchkey")
	samples := map[string][]sample{"up": {{target, 1}}}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return samples
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var series labels.Labels
		p.Labels(&series)
		_, _, value := p.Series()
		for _, own := range []string{"job", "instance"} {
			if series.Has(own) {
				t.Errorf("%v has a label that Prometheus gives itself", series)
			}
		}
		b := labels.NewBuilder(series)
		b.Set("instance", "api-1:8081")
		b.Set("job", "latchkey")
		name := series.Get("__name__")
		samples[name] = append(samples[name], sample{b.Labels(), value})
	}
}

// shardsUp has the additional series of a service with shards: see TestShards of cmd/api.
const shardsUp = "latchkey_shard_up{shard=\"east\"} 1\n"

// Each metric, label and label value that a query names is one that the service has.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.use(t)
	known := parse(t, append(s.scrape(t), shardsUp...))
	for where, query := range queries(t) {
		expr, err := promQL.ParseExpr(query)
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		if err := check(expr, known); err != nil {
			t.Errorf("%s: %v in %s", where, err, query)
		}
	}
}

// check looks at all selectors of an expression, and at what their results are
// grouped by.
func check(expr parser.Expr, known map[string][]sample) error {
	var errs []error
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			errs = append(errs, checkSelector(n, known))
		case *parser.AggregateExpr:
			for _, label := range n.Grouping {
				if !slices.ContainsFunc(selected(n.Expr, known), func(s sample) bool { return s.labels.Has(label) }) {
					errs = append(errs, fmt.Errorf("nothing has the label %q that is grouped by", label))
				}
			}
		}
		return nil
	})
	return errors.Join(errs...)
}

// selected are the samples of all metrics below a node.
func selected(expr parser.Expr, known map[string][]sample) []sample {
	var samples []sample
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if n, ok := node.(*parser.VectorSelector); ok {
			samples = append(samples, known[n.Name]...)
		}
		return nil
	})
	return samples
}

// checkSelector allows a pattern to match nothing, such as one of statuses that a healthy service does not give; a
// value it does not.
func checkSelector(n *parser.VectorSelector, known map[string][]sample) error {
	samples := known[n.Name]
	if len(samples) == 0 {
		return fmt.Errorf("there is no metric %q", n.Name)
	}
	for _, matcher := range n.LabelMatchers {
		if !slices.ContainsFunc(samples, func(s sample) bool {
			if matcher.Type == labels.MatchEqual {
				return matcher.Matches(s.labels.Get(matcher.Name))
			}
			return s.labels.Has(matcher.Name)
		}) {
			return fmt.Errorf("no series of %s has %s", n.Name, matcher)
		}
	}
	return nil
}

// A check that finds nothing would be of no use.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	known := parse(t, []byte("latchkey_refreshes_total{outcome=\"rotated\"} 1\n"))
	for query, ok := range map[string]bool{
		`sum by (outcome) (rate(latchkey_refreshes_total[5m]))`:                 true,
		`latchkey_refreshes_total{outcome="rotated",instance=~".*"} > 0`:        true,
		`latchkey_refreshes{outcome="rotated"}`:                                 false,
		`latchkey_refreshes_total{outcome="rotatad"}`:                           false,
		`latchkey_refreshes_total{result=~".*"}`:                                false,
		`sum by (result) (rate(latchkey_refreshes_total{outcome=~".*"}[5m]))`:   false,
		`1 - sum(latchkey_refreshes_total) / on () group_left () latchkey_made`: false,
	} {
		expr, err := promQL.ParseExpr(query)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(expr, known); (err == nil) != ok {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// evaluated reports whether a query has a result at the end of half an hour of the
// series, which are in the notation of promtool's unit tests.
func evaluated(t *testing.T, series, query string) bool {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n"+series)
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, promqltest.DefaultMaxSamplesPerQuery)
	instant, err := engine.NewInstantQuery(t.Context(), storage, promql.NewPrometheusQueryOpts(false, 0), query, time.Unix(0, 0).Add(30*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer instant.Close()
	result := instant.Exec(t.Context())
	if result.Err != nil {
		t.Fatalf("%s: %v", query, result.Err)
	}
	vector, err := result.Vector()
	if err != nil {
		t.Fatal(err)
	}
	return len(vector) > 0
}

// The metrics of a service that is well raise no alert.
func TestNoAlertWhileAllIsWell(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.use(t)
	var series strings.Builder
	for _, samples := range parse(t, s.scrape(t)) {
		for _, sample := range samples {
			if !math.IsInf(sample.value, 0) && !math.IsNaN(sample.value) {
				fmt.Fprintf(&series, "  %s %sx30\n", notation(sample.labels), strconv.FormatFloat(sample.value, 'f', -1, 64))
			}
		}
	}
	for _, rule := range alerts(t) {
		if evaluated(t, series.String(), rule.Expr) {
			t.Errorf("%s is raised", rule.Alert)
		}
	}
}

// notation writes a series as tests do: name{label="value"}.
func notation(series labels.Labels) string {
	var pairs []string
	series.Range(func(l labels.Label) {
		if l.Name != "__name__" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", l.Name, l.Value))
		}
	})
	return series.Get("__name__") + "{" + strings.Join(pairs, ",") + "}"
}

// Each alert is raised by what it is about, and not by what comes close.
var trouble = map[string]struct{ raised, quiet string }{
	"LatchkeyDown": {
		raised: `  up{job="latchkey",instance="a"} 1x20 0x10`,
		quiet:  `  up{job="latchkey",instance="a"} 1x30`,
	},
	"LatchkeyErrors": {
		raised: `  latchkey_http_requests_total{listener="public",status="200"} 0+98x30
  latchkey_http_requests_total{listener="public",status="503"} 0+2x30`,
		quiet: `  latchkey_http_requests_total{listener="public",status="200"} 0+300x30
  latchkey_http_requests_total{listener="public",status="400"} 0+100x30
  latchkey_http_requests_total{listener="public",status="503"} 0+1x30`,
	},
	"LatchkeySlow": {
		raised: `  latchkey_http_request_duration_seconds_bucket{listener="public",route="/oauth2/token",le="0.25"} 0+90x30
  latchkey_http_request_duration_seconds_bucket{listener="public",route="/oauth2/token",le="0.5"} 0+100x30
  latchkey_http_request_duration_seconds_bucket{listener="public",route="/oauth2/token",le="+Inf"} 0+100x30`,
		quiet: `  latchkey_http_request_duration_seconds_bucket{listener="internal",route="/v1/revocations",le="0.25"} 0x30
  latchkey_http_request_duration_seconds_bucket{listener="internal",route="/v1/revocations",le="+Inf"} 0+100x30
  latchkey_http_request_duration_seconds_bucket{listener="internal",route="/v1/sessions",le="0.25"} 0+100x30
  latchkey_http_request_duration_seconds_bucket{listener="internal",route="/v1/sessions",le="+Inf"} 0+100x30`,
	},
	"LatchkeyDatabaseErrors": {
		raised: `  latchkey_database_errors_total{operation="refresh"} 0+2x30`,
		quiet:  `  latchkey_database_errors_total{operation="refresh"} 0x29 1`,
	},
	"LatchkeyShardDown": {
		raised: `  latchkey_shard_up{instance="a",shard="east"} 1x10 0x20
  latchkey_shard_up{instance="b",shard="east"} 1x30`,
		quiet: `  latchkey_shard_up{instance="a",shard="east"} 1x30`,
	},
	"LatchkeyPoolExhausted": {
		raised: `  latchkey_pool_wait_seconds_total{pool="requests"} 0+90x30
  latchkey_pool_given_up_total{pool="requests"} 0x30`,
		quiet: `  latchkey_pool_wait_seconds_total{pool="requests"} 0+6x30
  latchkey_pool_wait_seconds_total{pool="tasks"} 0+90x30
  latchkey_pool_given_up_total{pool="requests"} 0x30`,
	},
	"LatchkeyRefreshTokenStolen": {
		raised: `  latchkey_refresh_tokens_stolen_total{kind="old"} 0x25 1x5`,
		quiet:  `  latchkey_refresh_tokens_stolen_total{kind="old"} 7x30`,
	},
	"LatchkeyManyRefreshTokensStolen": {
		raised: `  latchkey_refresh_tokens_stolen_total{kind="old"} 0+1x30
  latchkey_refreshes_total{outcome="rotated"} 0+10x30`,
		quiet: `  latchkey_refresh_tokens_stolen_total{kind="old"} 0+1x30
  latchkey_refreshes_total{outcome="rotated"} 0+10000x30`,
	},
	"LatchkeyForeignTokens": {
		raised: `  latchkey_refreshes_total{outcome="unknown_key"} 0+1x30
  latchkey_refreshes_total{outcome="rotated"} 0+10x30`,
		quiet: `  latchkey_refreshes_total{outcome="wrong_issuer"} 0+1x30
  latchkey_refreshes_total{outcome="invalid"} 0+100x30
  latchkey_refreshes_total{outcome="expired"} 0+100x30
  latchkey_refreshes_total{outcome="rotated"} 0+10000x30`,
	},
	"LatchkeyLostCommits": {
		raised: `  latchkey_refreshes_total{outcome="healed"} 0x25 3x5`,
		quiet:  `  latchkey_refreshes_total{outcome="rotated"} 0+100x30`,
	},
	"LatchkeyRevocationsLate": {
		raised: `  latchkey_revocations_age_seconds{instance="a"} 5x30
  latchkey_revocations_bound_seconds{instance="a"} 1x30`,
		quiet: `  latchkey_revocations_age_seconds{instance="a"} 0.25x30
  latchkey_revocations_bound_seconds{instance="a"} 1x30`,
	},
	"LatchkeyClockWrong": {
		raised: `  latchkey_clock_offset_seconds{instance="a"} -1.5x30
  latchkey_clock_uncertainty_seconds{instance="a"} 0.01x30`,
		quiet: `  latchkey_clock_offset_seconds{instance="a"} 1.5x30
  latchkey_clock_uncertainty_seconds{instance="a"} 1x30
  latchkey_clock_offset_seconds{instance="b"} -0.9x30
  latchkey_clock_uncertainty_seconds{instance="b"} 0.01x30`,
	},
	"LatchkeyCleanupNotRun": {
		raised: `  latchkey_cleanup_last_end_timestamp_seconds{instance="a",shard="first"} 0+60x30
  latchkey_cleanup_last_end_timestamp_seconds{instance="a",shard="east"} 300x30
  latchkey_cleanup_interval_seconds{instance="a"} 600x30`,
		quiet: `  latchkey_cleanup_last_end_timestamp_seconds{instance="a",shard="first"} 0x30
  latchkey_cleanup_last_end_timestamp_seconds{instance="b",shard="first"} 900x30
  latchkey_cleanup_interval_seconds{instance="a"} 600x30
  latchkey_cleanup_interval_seconds{instance="b"} 600x30`,
	},
	"LatchkeyJobGivenUp": {
		raised: `  latchkey_job_failures_total{kind="leak_webhook",last="true"} 0x25 1x5`,
		quiet:  `  latchkey_job_failures_total{kind="leak_webhook",last="false"} 0+1x30`,
	},
	"LatchkeyEventsDead": {
		raised: `  latchkey_event_deliveries_total{endpoint="crm",outcome="dead"} 0x25 1x5`,
		quiet:  `  latchkey_event_deliveries_total{endpoint="crm",outcome="failed"} 0+1x30`,
	},
	"LatchkeyEventsLate": {
		raised: `  latchkey_events_oldest_seconds{endpoint="crm"} 900x30
  latchkey_events_behind_seconds 1x30`,
		quiet: `  latchkey_events_oldest_seconds{endpoint="crm"} 60x30
  latchkey_events_behind_seconds 1x30`,
	},
	"LatchkeyLeakReportsDelayed": {
		raised: `  latchkey_leak_reports_delayed_total 0x25 1x5`,
		quiet:  `  latchkey_leak_reports_delayed_total 3x30`,
	},
	"LatchkeyAuditFails": {
		raised: `  latchkey_audit_write_failures_total 0x25 1x5
  latchkey_audit_lost_total 0x30`,
		quiet: `  latchkey_audit_write_failures_total 3x30
  latchkey_audit_lost_total 2x30`,
	},
	"LatchkeySigningKeyOld": {
		// Half an hour after the beginning of time: a key since long before.
		raised: `  latchkey_signing_key_since_timestamp_seconds{instance="a"} -10368001x30
  latchkey_signing_keys{state="published"} 0x30`,
		quiet: `  latchkey_signing_key_since_timestamp_seconds{instance="a"} -10368001x30
  latchkey_signing_keys{state="published"} 1x30`,
	},
	"LatchkeySigningKeysDiffer": {
		raised: `  latchkey_signing_key_since_timestamp_seconds{instance="a"} 5x30
  latchkey_signing_key_since_timestamp_seconds{instance="b"} 6x30`,
		quiet: `  latchkey_signing_key_since_timestamp_seconds{instance="a"} 5x30
  latchkey_signing_key_since_timestamp_seconds{instance="b"} 5x30`,
	},
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	left := maps.Clone(trouble)
	for _, rule := range alerts(t) {
		tt, ok := left[rule.Alert]
		if !ok {
			t.Errorf("%s has no test", rule.Alert)
			continue
		}
		delete(left, rule.Alert)
		if !evaluated(t, tt.raised, rule.Expr) {
			t.Errorf("%s is not raised", rule.Alert)
		}
		if evaluated(t, tt.quiet, rule.Expr) {
			t.Errorf("%s is raised by what it is not about", rule.Alert)
		}
		if rule.Annotations["summary"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("%s has no summary or no severity", rule.Alert)
		}
	}
	for name := range left {
		t.Errorf("there is no alert %s", name)
	}
}

// The manual has a line for each alert.
func TestAlertsAreExplained(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range alerts(t) {
		if !strings.Contains(string(manual), "\n| `"+rule.Alert+"` | ") {
			t.Errorf("docs/operations.md does not say what to do about %s", rule.Alert)
		}
	}
}

// Each alert links to an existing section of the manual.
func TestAlertsLinkToTheirSection(t *testing.T) {
	t.Parallel()
	const published = "https://github.com/latchkey-sessions/latchkey/blob/main/"
	for _, rule := range alerts(t) {
		document, anchor, _ := strings.Cut(strings.TrimPrefix(rule.Annotations["runbook_url"], published), "#")
		if !strings.HasPrefix(rule.Annotations["runbook_url"], published+"docs/") || anchor == "" {
			t.Errorf("%s has no runbook_url below %sdocs: %q", rule.Alert, published, rule.Annotations["runbook_url"])
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(document)))
		if err != nil {
			t.Errorf("%s: %v", rule.Alert, err)
		}
		if !slices.Contains(sections(string(text)), anchor) {
			t.Errorf("%s links to %s, which has no section %s", rule.Alert, document, anchor)
		}
	}
}

// sections are the headings of a document as GitHub names them.
func sections(text string) []string {
	var names []string
	for line := range strings.Lines(text) {
		heading, ok := strings.CutPrefix(strings.TrimSpace(line), "## ")
		if !ok {
			continue
		}
		names = append(names, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '-', r == '_':
				return r
			}
			return -1
		}, strings.ToLower(heading)))
	}
	return names
}

// The manual has each metric of ours, and no other.
func TestMetricsAreExplained(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	explained := map[string]bool{}
	for line := range strings.Lines(string(manual)) {
		if name, _, found := strings.Cut(strings.TrimPrefix(line, "| `latchkey_"), "`"); found && strings.HasPrefix(line, "| `latchkey_") {
			name, _, _ = strings.Cut(name, "{")
			explained["latchkey_"+name] = true
		}
	}
	s := start(t)
	s.use(t)
	there := map[string]bool{}
	for name := range parse(t, s.scrape(t)) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} { // of a histogram
			if base := strings.TrimSuffix(name, suffix); strings.HasSuffix(base, "_duration_seconds") {
				name = base
			}
		}
		if strings.HasPrefix(name, "latchkey_") {
			there[name] = true
		}
	}
	for name := range explained {
		if strings.HasPrefix(name, "latchkey_shard_") {
			there[name] = true // only with shards: see TestShards of cmd/api
		}
	}
	if diff := cmp.Diff(there, explained); diff != "" {
		t.Errorf("metrics that are there (-) and in docs/operations.md (+):\n%s", diff)
	}
}

// Panels are next to each other, and each row is full.
func TestPanelsDoNotOverlap(t *testing.T) {
	t.Parallel()
	taken := map[[2]int]string{}
	for _, p := range panels(t) {
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("%q asks nothing", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q and %q overlap, or it is too wide", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
