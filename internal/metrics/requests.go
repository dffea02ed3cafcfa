package metrics

import (
	"maps"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/latchkey-sessions/latchkey/httpapi"
)

// buckets are in seconds. A request takes one to three milliseconds; one that
// waited for the database's time limit takes ten seconds.
var buckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// requests counts requests. It is an [httpapi.Observer].
type requests struct {
	inFlight map[string]prometheus.Gauge // by listener
	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec

	// known has the series of each kind of request so far: a request looks up one
	// key, and no label. It is replaced as a whole.
	known   atomic.Pointer[map[requestKind]requestSeries]
	learner sync.Mutex
}

// requestKind is everything about an answer that a label shows.
type requestKind struct {
	listener, method, route string
	status                  int
}

type requestSeries struct {
	total    prometheus.Counter
	duration prometheus.Observer
}

func newRequests(registry prometheus.Registerer) *requests {
	r := &requests{
		inFlight: map[string]prometheus.Gauge{},
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "http_requests_total",
			Help: "Requests that were answered.",
		}, []string{"listener", "method", "route", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "http_request_duration_seconds",
			Help:    "How long it took to answer a request.",
			Buckets: buckets,
		}, []string{"listener", "method", "route"}),
	}
	inFlight := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Name: "http_requests_in_flight",
		Help: "Requests that are being answered.",
	}, []string{"listener"})
	for _, listener := range []string{"public", "internal"} {
		r.inFlight[listener] = inFlight.WithLabelValues(listener)
	}
	registry.MustRegister(inFlight, r.total, r.duration)
	r.known.Store(&map[requestKind]requestSeries{})
	return r
}

// Begin leaves the request unchanged.
func (r *requests) Begin(listener string, request *http.Request) *http.Request {
	if g := r.inFlight[listener]; g != nil {
		g.Inc()
	}
	return request
}

// End counts the request.
func (r *requests) End(_ *http.Request, a httpapi.Answer) {
	if g := r.inFlight[a.Listener]; g != nil {
		g.Dec()
	}
	kind := requestKind{a.Listener, a.Method, a.Route, a.Status}
	series, ok := (*r.known.Load())[kind]
	if !ok {
		series = r.learn(kind)
	}
	series.total.Inc()
	series.duration.Observe(a.Duration.Seconds())
}

// learn adds a kind of request. There are as many as routes have methods and
// statuses, so this soon stops growing.
func (r *requests) learn(kind requestKind) requestSeries {
	r.learner.Lock()
	defer r.learner.Unlock()
	known := *r.known.Load()
	if series, ok := known[kind]; ok {
		return series
	}
	series := requestSeries{
		r.total.WithLabelValues(kind.listener, kind.method, kind.route, strconv.Itoa(kind.status)),
		r.duration.WithLabelValues(kind.listener, kind.method, kind.route),
	}
	next := maps.Clone(known)
	next[kind] = series
	r.known.Store(&next)
	return series
}
