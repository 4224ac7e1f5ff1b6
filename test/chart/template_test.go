package chart

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/action"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// key identifies an object.
func key(object *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
}

// plain returns objects by their keys, without what a chart adds to each of them: the labels of Helm, and the annotation
// that keeps some.
func plain(objects []*unstructured.Unstructured) map[string]map[string]any {
	byKey := map[string]map[string]any{}
	for _, object := range objects {
		object := object.DeepCopy()
		labels, annotations := object.GetLabels(), object.GetAnnotations()
		delete(labels, "app.kubernetes.io/managed-by")
		delete(labels, "helm.sh/chart")
		delete(annotations, "helm.sh/resource-policy")
		if len(annotations) == 0 {
			annotations = nil
		}
		object.SetLabels(labels)
		object.SetAnnotations(annotations)
		byKey[key(object)] = object.Object
	}
	return byKey
}

// all turns everything on that config/ has.
var all = values{"serviceMonitor": values{"enabled": true}, "prometheusRule": values{"enabled": true}, "dashboards": values{"enabled": true}}

func TestTheChartIsConfig(t *testing.T) {
	for _, test := range []struct {
		name    string
		values  values
		folders []string
	}{
		{"as it is", nil, []string{"default"}},
		{"with all for Prometheus and Grafana", all, []string{"default", "prometheus"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			var objects []*unstructured.Unstructured
			for _, folder := range test.folders {
				objects = append(objects, kustomized(t, folder)...)
			}
			want := plain(objects)
			delete(want, "Namespace /"+namespace) // Helm creates it.
			rendered, err := template(chartFolder, namespace, test.values)
			g.Expect(err).NotTo(HaveOccurred())
			got := plain(rendered)
			g.Expect(slices.Sorted(maps.Keys(got))).To(Equal(slices.Sorted(maps.Keys(want))))
			for name, object := range want {
				g.Expect(got[name]).To(Equal(object), name)
			}
		})
	}
}

func TestLint(t *testing.T) {
	g := NewWithT(t)
	lint := action.NewLint()
	lint.Namespace, lint.Strict = namespace, true
	result := lint.Run([]string{chartFolder}, nil)
	g.Expect(result.Errors).To(BeEmpty())
	g.Expect(action.HasWarningsOrErrors(result)).To(BeFalse(), "%v", result.Messages)
}

func TestWhatHelmUninstallKeeps(t *testing.T) {
	g := NewWithT(t)
	rendered, err := template(chartFolder, namespace, all)
	g.Expect(err).NotTo(HaveOccurred())
	var kept []string
	for _, object := range rendered {
		if object.GetAnnotations()["helm.sh/resource-policy"] == "keep" {
			kept = append(kept, key(object))
		}
	}
	g.Expect(kept).To(ConsistOf(
		"CustomResourceDefinition /databaseservers.tenantry.dev", "CustomResourceDefinition /tenantclasses.tenantry.dev",
		"CustomResourceDefinition /tenantclassrevisions.tenantry.dev", "CustomResourceDefinition /tenantpolicies.tenantry.dev",
		"CustomResourceDefinition /tenants.tenantry.dev",
		"Namespace /tenantry-databases", "NetworkPolicy tenantry-databases/deny-all"))
}

// at returns values with one value set, at a path with dots.
func at(path string, value any) values {
	fields := strings.Split(path, ".")
	for _, field := range slices.Backward(fields) {
		value = values{field: value}
	}
	return value.(values)
}

// valid are values by their paths, with what is in the rendered chart only if they are set.
var valid = map[string][]struct {
	value any
	shows string
	// with are further values that it takes to show.
	with values
}{
	"image.repository":                   {{"registry.example/tenantry", `"image":"registry.example/tenantry:dev"`, nil}},
	"image.tag":                          {{"v1.2.3", `"image":"tenantry/manager:v1.2.3"`, nil}},
	"image.digest":                       {{"sha256:" + strings.Repeat("0", 64), `"image":"tenantry/manager@sha256:` + strings.Repeat("0", 64) + `"`, nil}},
	"image.pullPolicy":                   {{"Always", `"imagePullPolicy":"Always"`, nil}, {"IfNotPresent", `"imagePullPolicy":"IfNotPresent"`, nil}, {"Never", `"imagePullPolicy":"Never"`, nil}},
	"imagePullSecrets":                   {{[]any{values{"name": "registry"}}, `"imagePullSecrets":[{"name":"registry"}]`, nil}},
	"replicas":                           {{3, `"replicas":3`, nil}, {0, `"replicas":0`, nil}},
	"resources.requests":                 {{values{"cpu": "2"}, `"requests":{"cpu":"2","memory":"128Mi"}`, nil}},
	"resources.limits":                   {{values{"memory": "3Gi"}, `"limits":{"memory":"3Gi"}`, nil}, {nil, `"resources":{"requests":{`, nil}},
	"resources.claims":                   {{[]any{values{"name": "device"}}, `"claims":[{"name":"device"}]`, nil}},
	"affinity":                           {{values{"nodeAffinity": values{}}, `"affinity":{"nodeAffinity":{}}`, nil}},
	"nodeSelector":                       {{values{"disk": "ssd"}, `"nodeSelector":{"disk":"ssd"}`, nil}},
	"tolerations":                        {{[]any{values{"operator": "Exists"}}, `"tolerations":[{"operator":"Exists"}]`, nil}},
	"topologySpreadConstraints":          {{[]any{values{"maxSkew": 1}}, `"topologySpreadConstraints":[{"maxSkew":1}]`, nil}},
	"priorityClassName":                  {{"system-cluster-critical", `"priorityClassName":"system-cluster-critical"`, nil}},
	"podLabels":                          {{values{"team": "platform"}, `"team":"platform"`, nil}},
	"podAnnotations":                     {{values{"team": "platform"}, `"team":"platform"`, nil}},
	"serviceAccount.annotations":         {{values{"role": "arn:aws"}, `"role":"arn:aws"`, nil}},
	"policyEnforcement":                  {{"Audit", `"--policy-enforcement=Audit"`, nil}},
	"exemptGroups":                       {{[]any{"system:serviceaccounts:flux-system"}, `"kind":"Group","name":"system:serviceaccounts:flux-system"`, nil}},
	"clusterDNS":                         {{"openshift-dns/dns-default,169.254.20.10", `"--cluster-dns=openshift-dns/dns-default,169.254.20.10"`, nil}},
	"extraArgs":                          {{[]any{"--sync-period=1h"}, `"--sync-period=1h"`, nil}},
	"podDisruptionBudget.enabled":        {{true, `"kind":"PodDisruptionBudget"`, nil}},
	"podDisruptionBudget.maxUnavailable": {{2, `"maxUnavailable":2`, at("podDisruptionBudget.enabled", true)}, {"50%", `"maxUnavailable":"50%"`, at("podDisruptionBudget.enabled", true)}},
	"serviceMonitor.enabled":             {{true, `"kind":"ServiceMonitor"`, nil}},
	"serviceMonitor.labels":              {{values{"release": "prometheus"}, `"release":"prometheus"`, at("serviceMonitor.enabled", true)}},
	"serviceMonitor.interval":            {{"30s", `"interval":"30s"`, at("serviceMonitor.enabled", true)}},
	"prometheusRule.enabled":             {{true, `"kind":"PrometheusRule"`, nil}},
	"prometheusRule.labels":              {{values{"release": "prometheus"}, `"release":"prometheus"`, at("prometheusRule.enabled", true)}},
	"dashboards.enabled":                 {{true, `"grafana_dashboard":"1"`, nil}},
	"dashboards.labels":                  {{values{"folder": "tenants"}, `"folder":"tenants"`, at("dashboards.enabled", true)}},
}

// ends are values that take something out of the chart.
var ends = map[string]string{"crds.install": `"kind":"CustomResourceDefinition"`, "networkPolicy.enabled": `"namespace":"tenantry-system"},"spec":{"ingress"`}

// rendered returns all objects as one line of JSON.
func rendered(t *testing.T, values values) string {
	t.Helper()
	g := NewWithT(t)
	objects, err := template(chartFolder, namespace, values)
	g.Expect(err).NotTo(HaveOccurred())
	content, err := json.Marshal(objects)
	g.Expect(err).NotTo(HaveOccurred())
	return string(content)
}

func TestEachValueHasAnEffect(t *testing.T) {
	for path, cases := range valid {
		for _, test := range cases {
			t.Run(fmt.Sprintf("%s %v", path, test.value), func(t *testing.T) {
				g := NewWithT(t)
				g.Expect(strings.Contains(rendered(t, maps.Clone(test.with)), test.shows)).To(BeFalse(), "it is there without the value")
				merged := merge(at(path, test.value), test.with)
				g.Expect(strings.Contains(rendered(t, merged), test.shows)).To(BeTrue(), "%s is missing", test.shows)
			})
		}
	}
	for path, shows := range ends {
		t.Run(path, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(strings.Contains(rendered(t, nil), shows)).To(BeTrue())
			g.Expect(strings.Contains(rendered(t, at(path, false)), shows)).To(BeFalse())
		})
	}
}

// merge returns the values of both.
func merge(a, b values) values {
	merged := maps.Clone(a)
	for name, value := range b {
		inner, isMap := merged[name].(values)
		if isMap {
			value = merge(inner, value.(values))
		}
		merged[name] = value
	}
	return merged
}

func TestTheSchemaHasEachValue(t *testing.T) {
	g := NewWithT(t)
	content, err := os.ReadFile(filepath.Join(chartFolder, "values.schema.json"))
	g.Expect(err).NotTo(HaveOccurred())
	type schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	var whole schema
	g.Expect(json.Unmarshal(content, &whole)).To(Succeed())
	var paths []string
	for name, raw := range whole.Properties {
		var inner schema
		g.Expect(json.Unmarshal(raw, &inner)).To(Succeed())
		for field := range inner.Properties {
			paths = append(paths, name+"."+field)
		}
		if len(inner.Properties) == 0 && name != "global" { // Helm itself adds this one.
			paths = append(paths, name)
		}
	}
	tried := append(slices.Collect(maps.Keys(valid)), slices.Collect(maps.Keys(ends))...)
	g.Expect(paths).To(ConsistOf(tried))
}

func TestValuesThatAreRefused(t *testing.T) {
	for path, test := range map[string]struct {
		value any
		says  string
	}{
		"policyEnforcement":       {"Warn", "'/policyEnforcement': value must be one of 'Enforce', 'Audit'"},
		"replica":                 {3, "additional properties 'replica' not allowed"},
		"replicas":                {-1, "'/replicas': minimum: got -1, want 0"},
		"image.tag":               {"v1 beta", "'/image/tag'"},
		"image.digest":            {"latest", "'/image/digest'"},
		"image.pullPolicy":        {"Sometimes", "'/image/pullPolicy'"},
		"image.repository":        {"", "'/image/repository'"},
		"imagePullSecrets":        {[]any{"registry"}, "'/imagePullSecrets/0'"},
		"resources.cpu":           {"1", "additional properties 'cpu' not allowed"},
		"exemptGroups":            {[]any{"system:authenticated"}, "'/exemptGroups/0'"},
		"extraArgs":               {[]any{"sync-period=1h"}, "'/extraArgs/0'"},
		"nodeSelector":            {values{"gpu": true}, "'/nodeSelector/gpu': got boolean, want string"},
		"serviceMonitor.interval": {"often", "'/serviceMonitor/interval'"},
		"crds.install":            {"no", "'/crds/install': got string, want boolean"},
	} {
		t.Run(path, func(t *testing.T) {
			_, err := template(chartFolder, namespace, at(path, test.value))
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(test.says)))
		})
	}
}

func TestAnotherNamespaceIsRefused(t *testing.T) {
	_, err := template(chartFolder, "default", nil)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("install the chart with --namespace tenantry-system --create-namespace, and not in default")))
}
