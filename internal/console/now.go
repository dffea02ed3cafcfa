package console

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-sessions/latchkey/internal/events"
	"github.com/latchkey-sessions/latchkey/internal/jobs"
	"github.com/latchkey-sessions/latchkey/internal/replicas"
	"github.com/latchkey-sessions/latchkey/sessionstore"
)

// shownDead is how many dead deliveries of events are shown.
const shownDead = 100

type nowPage struct {
	Live live
	// Activity is the source of Created and Ended.
	Activity activity
	Created  chart
	Ended    []chart
	// Refreshed and Refused are this replica's, since Since.
	Refreshed chart
	Refused   []chart
	Since     time.Time

	Service     Service
	Keys        []nowKey
	LastCleanup time.Time
	Replicas    []replicas.Replica
	Running     []jobs.Running
	Dead        []jobs.Dead
	DeadEvents  []events.Dead
	MoreDead    bool
	Sent        sent

	ClockKnown          bool
	Offset, Uncertainty time.Duration
	// Revocations is how old the knowledge of them is; negative before there is
	// any.
	Revocations time.Duration
}

// givePairs are the outcomes of refreshes that are not refusals.
var givePairs = []string{
	sessionstore.Rotated.String(), sessionstore.StillFresh.String(), sessionstore.Raced.String(), sessionstore.RetriedLate.String(), sessionstore.Healed.String(),
}

type nowKey struct {
	Key

	Replaced time.Time
}

func (c *Console) showNow(w http.ResponseWriter, r *http.Request, _ operator) error {
	page := nowPage{Service: c.cfg.Service, Sent: sentOf(r.URL.Query())}
	if err := c.count(r.Context(), &page); err != nil {
		return err
	}
	if err := c.ask(r.Context(), &page); err != nil {
		return fmt.Errorf("%w: %w", sessionstore.ErrUnavailable, err)
	}
	if s := page.Service; s.Clock != nil {
		page.Offset, page.Uncertainty, page.ClockKnown = s.Clock()
	}
	if s := page.Service; s.RevocationsAge != nil {
		if page.Revocations = s.RevocationsAge(); page.Revocations == math.MaxInt64 {
			page.Revocations = -time.Second
		}
	}
	return c.render(w, r, http.StatusOK, "now", "Now", page)
}

// count fills in what happened to sessions.
func (c *Console) count(ctx context.Context, page *nowPage) (err error) {
	if page.Live, err = c.countLive(ctx); err != nil {
		return err
	}
	if page.Activity, err = c.countActivity(ctx); err != nil {
		return err
	}
	page.Created = newChart("Created", page.Activity.Created)
	for reason, n := range page.Activity.Ended {
		page.Ended = append(page.Ended, newChart("Ended: "+cmp.Or(endedBy[reason], "for another reason"), *n).of(string(reason)))
	}
	var given hours
	var by map[string]hours
	by, page.Since = c.recent.read()
	for outcome, n := range by {
		if slices.Contains(givePairs, outcome) {
			for i := range n {
				given[i] += n[i]
			}
		} else if chart := newChart("Refused: "+cmp.Or(refusedAs[outcome], "for another reason"), n).of(outcome); chart.Sum > 0 {
			page.Refused = append(page.Refused, chart)
		}
	}
	page.Refreshed = newChart("Refreshed", given)
	for _, charts := range [][]chart{page.Ended, page.Refused} {
		slices.SortFunc(charts, func(a, b chart) int { return int(b.Sum - a.Sum) })
	}
	return nil
}

// ask fills in what the other parts of the service know.
func (c *Console) ask(ctx context.Context, page *nowPage) error {
	s := page.Service
	if s.Keys != nil {
		keys, err := s.Keys(ctx)
		if err != nil {
			return err
		}
		for _, key := range keys {
			shown := nowKey{Key: key}
			if key.State == "signs" && s.KeyRotation > 0 && !key.SignsFrom.IsZero() {
				shown.Replaced = key.SignsFrom.Add(s.KeyRotation)
			}
			page.Keys = append(page.Keys, shown)
		}
	}
	var err error
	if s.LastCleanup != nil {
		if page.LastCleanup, err = s.LastCleanup(ctx); err != nil {
			return err
		}
	}
	if s.Replicas != nil {
		if page.Replicas, err = s.Replicas(ctx); err != nil {
			return err
		}
	}
	if s.Jobs != nil {
		if page.Running, err = s.Jobs.Running(ctx); err != nil {
			return err
		}
		if page.Dead, err = s.Jobs.Dead(ctx); err != nil {
			return err
		}
	}
	if s.Events != nil {
		if page.DeadEvents, err = s.Events.Dead(ctx, events.DeadParams{}, shownDead+1); err != nil {
			return err
		}
		if page.MoreDead = len(page.DeadEvents) > shownDead; page.MoreDead {
			page.DeadEvents = page.DeadEvents[:shownDead]
		}
	}
	return nil
}

// chart has a bar for each hour of the past day.
type chart struct {
	Name string
	// Code is its name in metrics, the log and documents, if it has one.
	Code string
	Sum  int64
	Bars []chartBar
	// Words are the numbers, for readers who cannot see the bars.
	Words string
}

type chartBar struct{ X, Y, Width, Height int }

const (
	chartHeight = 40
	barWidth    = 10
)

func (c chart) of(code string) chart {
	c.Code = code
	return c
}

func newChart(name string, n hours) chart {
	c := chart{Name: name}
	most, words := slices.Max(n[:]), make([]string, len(n))
	for i, x := range n {
		c.Sum += x
		words[i] = strconv.FormatInt(x, 10)
		if x > 0 {
			height := max(int(float64(x)/float64(most)*chartHeight), 1)
			c.Bars = append(c.Bars, chartBar{i * barWidth, chartHeight - height, barWidth - 2, height})
		}
	}
	c.Words = strings.Join(words, ", ")
	return c
}
