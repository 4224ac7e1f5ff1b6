// Package monitoring tests what Prometheus sees of the operator: each alert and each query of the dashboards, against a
// real Prometheus that scrapes a real operator.
package monitoring

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"sigs.k8s.io/yaml"
)

// Rules are the recording rules and alerts of config/prometheus, as Prometheus reads them.
type Rules struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []Rule `json:"rules"`
	} `json:"groups"`
}

// Rule is a recording rule or an alert.
type Rule struct {
	Record      string            `json:"record,omitempty"`
	Alert       string            `json:"alert,omitempty"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// ReadRules reads config/prometheus of the checkout at root.
func ReadRules(root string) (rules Rules, err error) {
	content, err := os.ReadFile(filepath.Join(root, "config", "prometheus", "prometheus_rule.yaml"))
	if err != nil {
		return rules, err
	}
	var object struct {
		Spec Rules `json:"spec"`
	}
	if err := yaml.Unmarshal(content, &object); err != nil {
		return rules, fmt.Errorf("prometheus_rule.yaml: %w", err)
	}
	return object.Spec, nil
}

// File returns the rules as a rule file of Prometheus.
func (r Rules) File() ([]byte, error) { return yaml.Marshal(r) }

// Alerts returns the alerts by name.
func (r Rules) Alerts() map[string]Rule {
	alerts := map[string]Rule{}
	for _, group := range r.Groups {
		for _, rule := range group.Rules {
			if rule.Alert != "" {
				alerts[rule.Alert] = rule
			}
		}
	}
	return alerts
}

// window is a range in a query, such as [5m].
var window = regexp.MustCompile(`\[\d+[mh]\]`)

// Hurry makes alerts fire and end within seconds: it shortens how long each must hold, and the time over which rates
// are taken. What they compare, and with which bounds, stays.
func (r Rules) Hurry(holds, rate string) {
	for _, group := range r.Groups {
		for n := range group.Rules {
			rule := &group.Rules[n]
			if rule.Alert != "" {
				rule.For = holds
			}
			rule.Expr = window.ReplaceAllString(rule.Expr, "["+rate+"]")
		}
	}
}
