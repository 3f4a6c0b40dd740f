package metrics

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime"

	dto "github.com/prometheus/client_model/go"

	"github.com/terra-reconcile/terra-reconcile/internal/visible"
)

// exposition collects series, in the order in which they are added.
type exposition struct {
	byName map[string]*samples
	names  []string
	spare  []series // made in pieces of many: a scrape has thousands
}

type samples struct {
	Family
	metrics []*dto.Metric
}

const maxLabels = 6

// series is a metric with all that it points to.
type series struct {
	metric  dto.Metric
	gauge   dto.Gauge
	counter dto.Counter
	value   float64
	pairs   [maxLabels]dto.LabelPair
	list    [maxLabels]*dto.LabelPair
	values  [maxLabels]string
}

func newExposition() *exposition {
	e := &exposition{byName: map[string]*samples{}}
	for _, f := range Families() {
		e.byName[f.Name] = &samples{Family: f}
		e.names = append(e.names, f.Name)
	}
	return e
}

// add adds a series of a family, with the values of its labels.
func (e *exposition) add(name string, value float64, labels ...string) {
	to := e.byName[name]
	if len(e.spare) == 0 {
		e.spare = make([]series, 64)
	}
	s := &e.spare[0]
	e.spare = e.spare[1:]
	s.value = value
	if last := len(labels) - 1; last >= 0 && labels[last] == "" && to.Labels[last] == repo {
		labels = labels[:last]
	}
	for i, label := range labels {
		s.values[i] = label
		s.pairs[i].Name, s.pairs[i].Value = &to.Labels[i], &s.values[i]
		s.list[i] = &s.pairs[i]
	}
	s.metric.Label = s.list[:len(labels)]
	if to.Kind == Counter {
		s.counter.Value, s.metric.Counter = &s.value, &s.counter
	} else {
		s.gauge.Value, s.metric.Gauge = &s.value, &s.gauge
	}
	to.metrics = append(to.metrics, &s.metric)
}

// families are those that have a series.
func (e *exposition) families() []*dto.MetricFamily {
	var out []*dto.MetricFamily
	for _, name := range e.names {
		s := e.byName[name]
		if len(s.metrics) == 0 {
			continue
		}
		kind, full, help := dto.MetricType_GAUGE, Prefix+name, s.Help
		if s.Kind == Counter {
			kind = dto.MetricType_COUNTER
		}
		out = append(out, &dto.MetricFamily{Name: &full, Help: &help, Type: &kind, Metric: s.metrics})
	}
	return out
}

func is(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// longestLabel is how many characters of a name a label holds.
const longestLabel = 120

// label is a name that anybody may have chosen, as the value of a label: one visible line,
// cut where it is too long, with a digest of the whole name that tells it from others that
// begin the same. What looks like a key is not repeated.
func label(name string) string {
	if kind := visible.Key(name); kind != "" {
		return "(" + kind + ")"
	}
	text := visible.Text(name)
	if len(text) <= longestLabel {
		return text
	}
	runes := []rune(text)
	if len(runes) <= longestLabel {
		return text
	}
	sum := sha256.Sum256([]byte(name))
	return string(runes[:longestLabel]) + "…" + hex.EncodeToString(sum[:4])
}

func goVersion() string { return runtime.Version() }
