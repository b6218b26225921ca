package fleet

import (
	"github.com/prometheus/client_golang/prometheus"

	"waymark.dev/waymark/diag"
	"waymark.dev/waymark/envoy/xds"
)

// metrics are what Prometheus reads.
type metrics struct {
	registry  *prometheus.Registry
	pushes    *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	acks      *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	changes   prometheus.Counter
	translate prometheus.Histogram
}

func newMetrics(p *Plane) *metrics {
	m := &metrics{
		registry:  prometheus.NewRegistry(),
		pushes:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waymark_xds_pushes_total", Help: "Responses sent to proxies, by type of resource."}, []string{"type"}),
		bytes:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waymark_xds_sent_bytes_total", Help: "Bytes of responses sent to proxies, by type of resource."}, []string{"type"}),
		acks:      prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "waymark_xds_ack_seconds", Help: "Time from a response to its acknowledgement, by step of a change.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}, []string{"step"}),
		refusals:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "waymark_xds_refusals_total", Help: "Responses that proxies refused, by type of resource."}, []string{"type"}),
		changes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "waymark_changes_total", Help: "Changes of resources that were given to proxies."}),
		translate: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "waymark_translation_seconds", Help: "Time from a change of resources until it is ready for all groups of proxies.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 16)}),
	}
	m.registry.MustRegister(m.pushes, m.bytes, m.acks, m.refusals, m.changes, m.translate, &state{p})
	return m
}

func (m *metrics) observe(e xds.Event) {
	t := e.Type.Short()
	switch {
	case e.Took == 0:
		m.pushes.WithLabelValues(t).Inc()
		m.bytes.WithLabelValues(t).Add(float64(e.Bytes))
	case e.Refused:
		m.refusals.WithLabelValues(t).Inc()
	default:
		step := string(e.Step)
		if step == "" {
			step = "subscription"
		}
		m.acks.WithLabelValues(step).Observe(e.Took.Seconds())
	}
}

// state is what is true now.
type state struct{ plane *Plane }

var (
	proxiesDesc  = prometheus.NewDesc("waymark_proxies", "Proxies that are connected: in sync, waiting for an acknowledgement, or refusing a change.", []string{"state"}, nil)
	streamsDesc  = prometheus.NewDesc("waymark_xds_streams", "Streams of proxies.", nil, nil)
	queueDesc    = prometheus.NewDesc("waymark_queue_length", "Proxies that have not taken the latest change yet.", nil, nil)
	objectsDesc  = prometheus.NewDesc("waymark_objects_refused", "Objects that are refused and left out, or as they were before.", nil, nil)
	rolloutsDesc = prometheus.NewDesc("waymark_rollout_admitted", "Proxies that may have the change that is rolled out in waves, by its state.", []string{"state"}, nil)
)

// Describe has all of them.
func (s *state) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{proxiesDesc, streamsDesc, queueDesc, objectsDesc, rolloutsDesc} {
		ch <- d
	}
}

// Collect counts.
func (s *state) Collect(ch chan<- prometheus.Metric) {
	var n counts
	all := s.plane.server.Status()
	for i := range all {
		n.add(&all[i])
	}
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	gauge(proxiesDesc, n.InSync, "in sync")
	gauge(proxiesDesc, n.Waiting, "waiting")
	gauge(proxiesDesc, n.Refusing, "refusing")
	gauge(streamsDesc, len(all))
	gauge(queueDesc, n.Waiting)
	gauge(objectsDesc, s.plane.refused())
	if r := s.plane.server.Rollout(); r.State != "" {
		gauge(rolloutsDesc, r.Admitted, string(r.State))
	}
}

// refused counts the objects with an error.
func (p *Plane) refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	objects := map[string]bool{}
	for _, f := range p.findings {
		if f.Severity == diag.Error && f.About != nil {
			objects[f.About.String()] = true
		}
	}
	return len(objects)
}
