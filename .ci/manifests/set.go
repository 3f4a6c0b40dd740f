package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// set is all that one way of installing gives to a cluster.
type set struct {
	texts []string       // each object as it came
	kinds map[string]int // how many of each

	accounts    []corev1.ServiceAccount
	configs     []corev1.ConfigMap
	claims      []corev1.PersistentVolumeClaim
	deployments []appsv1.Deployment
	budgets     []policyv1.PodDisruptionBudget
	policies    []networkingv1.NetworkPolicy
	services    []corev1.Service
	monitors    []monitoringv1.ServiceMonitor
}

var between = regexp.MustCompile(`(?m)^---\n`)

// decode reads objects by the types of their projects. A field that a type does not know is
// refused, and so is a kind that has no place here, such as a Secret.
func decode(text string) (set, error) {
	s := set{kinds: map[string]int{}}
	for _, one := range between.Split(text, -1) {
		var about metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(one), &about); err != nil {
			return s, err
		}
		if about.Kind == "" && strings.TrimSpace(regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAllString(one, "")) == "" {
			continue
		}
		var err error
		switch about.APIVersion + " " + about.Kind {
		case "v1 ServiceAccount":
			s.accounts, err = add(s.accounts, one)
		case "v1 ConfigMap":
			s.configs, err = add(s.configs, one)
		case "v1 PersistentVolumeClaim":
			s.claims, err = add(s.claims, one)
		case "apps/v1 Deployment":
			s.deployments, err = add(s.deployments, one)
		case "policy/v1 PodDisruptionBudget":
			s.budgets, err = add(s.budgets, one)
		case "networking.k8s.io/v1 NetworkPolicy":
			s.policies, err = add(s.policies, one)
		case "v1 Service":
			s.services, err = add(s.services, one)
		case "monitoring.coreos.com/v1 ServiceMonitor":
			s.monitors, err = add(s.monitors, one)
		default:
			err = fmt.Errorf("an object of %s %q has no place here", about.APIVersion, about.Kind)
		}
		if err != nil {
			return s, fmt.Errorf("%s: %w", about.Kind, err)
		}
		s.texts = append(s.texts, one)
		s.kinds[about.Kind]++
	}
	return s, nil
}

func add[T any](to []T, text string) ([]T, error) {
	var one T
	document, err := yaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return to, err
	}
	unknown, err := kjson.UnmarshalStrict(document, &one) // as an API server does: letter case counts
	return append(to, one), errors.Join(append(unknown, err)...)
}

// comparable gives a line for each value of each object, sorted: without what a way of
// installing adds about itself, and daemon.yaml by what is in it.
func (s set) comparable() ([]string, error) {
	var lines []string
	for _, group := range []any{s.accounts, s.configs, s.claims, s.deployments, s.budgets, s.policies, s.services, s.monitors} {
		text, err := json.Marshal(group)
		if err != nil {
			return nil, err
		}
		var objects []map[string]any
		if err := json.Unmarshal(text, &objects); err != nil {
			return nil, err
		}
		for _, object := range objects {
			kind := fmt.Sprint(object["kind"])
			if data, ok := object["data"].(map[string]any); ok {
				for name, value := range data {
					var tree any
					if err := yaml.Unmarshal([]byte(fmt.Sprint(value)), &tree); err != nil {
						return nil, err
					}
					data[name] = tree
				}
			}
			lines = append(lines, values(kind, object)...)
		}
	}
	slices.Sort(lines)
	return lines, nil
}

// own are what only one of the ways has: labels of Helm, and the namespace, which the others
// are told by their commands.
var own = regexp.MustCompile(`\.(helm\.sh/[a-z-]+|app\.kubernetes\.io/(instance|managed-by)|metadata\.namespace) = `)

// values gives a line for each value below a place. Entries of a list that have a name are
// called by it, so that their order does not count.
func values(place string, value any) (lines []string) {
	switch value := value.(type) {
	case map[string]any:
		for name, below := range value {
			lines = append(lines, values(place+"."+name, below)...)
		}
	case []any:
		for i, below := range value {
			at := fmt.Sprintf("%s[%d]", place, i)
			if named, ok := below.(map[string]any); ok && named["name"] != nil {
				at = fmt.Sprintf("%s[%v]", place, named["name"])
			}
			lines = append(lines, values(at, below)...)
		}
		if len(value) == 0 {
			lines = append(lines, place+" = []")
		}
	case nil:
	default:
		if line := fmt.Sprintf("%s = %v", place, value); !own.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}
