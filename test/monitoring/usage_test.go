package monitoring

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
)

// charge is a row of an export that the specs look at.
type charge struct {
	ChargePeriodStart, ChargePeriodEnd time.Time
	SubAccountID                       string `json:"SubAccountId"`
	SkuID                              string `json:"SkuId"`
	ConsumedQuantity, BilledCost       float64
	ConsumedUnit                       string
}

// seconds returns how long a charge lasts.
func (c charge) seconds() float64 { return c.ChargePeriodEnd.Sub(c.ChargePeriodStart).Seconds() }

// usage runs kubectl tenantry usage.
func (m *monitored) usage(ctx context.Context, args ...string) (out, failure string) {
	GinkgoHelper()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, m.plugin, append([]string{"usage"}, args...)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+m.Kubernetes.KubeconfigPath(), "HOME="+GinkgoT().TempDir())
	command.Stdout, command.Stderr = &stdout, &stderr
	_ = command.Run() // What it says tells whether it has failed.
	GinkgoWriter.Printf("$ kubectl tenantry usage %q\n%s%s", args, stdout.String(), stderr.String())
	return stdout.String(), stderr.String()
}

// charges returns what acme is charged since a time, by service.
func (m *monitored) charges(ctx context.Context, g Gomega, from string, args ...string) (found map[string]charge, failure string) {
	out, failure := m.usage(ctx, slices.Concat([]string{"--prometheus", m.prometheus.URL, "--from", from, "-o", "json"}, args)...)
	var rows []charge
	g.Expect(json.Unmarshal([]byte(out), &rows)).To(Succeed(), failure)
	found = map[string]charge{}
	for _, row := range rows {
		if row.SubAccountID == "acme" {
			found[row.SkuID] = row
		}
	}
	return found, failure
}

// billRequests expects what two pods with the default requests, of 100m and 128Mi, make in some seconds.
func (m *monitored) billRequests(ctx context.Context) {
	GinkgoHelper()
	const cores, gibibytes = 2 * 0.1, 2 * 0.125
	Eventually(ctx, komega.Object(m.acme)).Should(HaveField("Status.Usage.Used", WithTransform(func(used corev1.ResourceList) bool {
		cpu, memory := used[corev1.ResourceRequestsCPU], used[corev1.ResourceRequestsMemory]
		return cpu.Equal(resource.MustParse("200m")) && memory.Equal(resource.MustParse("256Mi"))
	}, BeTrue())))
	from := time.Now().Add(time.Second).UTC().Format(time.RFC3339)
	prices := filepath.Join(GinkgoT().TempDir(), "prices.yaml")
	Expect(os.WriteFile(prices, []byte("currency: EUR\nprices: {cpu: 3600}\n"), 0o600)).To(Succeed())
	var before float64
	Eventually(ctx, func(g Gomega) {
		found, failure := m.charges(ctx, g, from, "--prices", prices)
		cpu, memory := found["cpu"], found["memory"]
		g.Expect(cpu.seconds()).To(BeNumerically(">=", 15))
		before = cores * cpu.seconds()
		// Prometheus extends what it has seen to the ends of the interval, by up to the time between two scrapes.
		g.Expect(cpu.ConsumedQuantity * 3600).To(BeNumerically("~", before, before/10))
		g.Expect(memory.ConsumedQuantity * 3600).To(BeNumerically("~", gibibytes*memory.seconds(), gibibytes*memory.seconds()/10))
		g.Expect(cpu.BilledCost).To(BeNumerically("~", cpu.ConsumedQuantity*3600, 1e-6))
		g.Expect([]string{cpu.ConsumedUnit, memory.ConsumedUnit}).To(Equal([]string{"Core-Hours", "GiB-Hours"}))
		g.Expect(failure).To(ContainSubstring("there is no price of memory"))
	}).WithPolling(time.Second).Should(Succeed())

	By("which isn't counted again, nor made up, when the operator comes back")
	const up = `up{job="tenantry-manager-metrics"}`
	Expect(m.Operator.Stop()).To(Succeed())
	Eventually(ctx, m.prometheus.Value).WithArguments(ctx, up).Should(ContainElement(HaveField("Value", BeNumerically("==", 0))))
	Expect(m.StartOperator(ctx)).To(Succeed())
	const (
		cpu   = `tenantry_usage_requested_core_seconds_total{tenant="acme"}`
		after = 1.0
	)
	Eventually(ctx, m.prometheus.Value).WithArguments(ctx, cpu).Should(ContainElement(HaveField("Value", BeNumerically(">", after))))
	Expect(m.prometheus.Value(ctx, "resets("+cpu+"[1h])")).To(ConsistOf(HaveField("Value", BeNumerically("==", 1))))
	found, failure := m.charges(ctx, Default, from)
	Expect(found["cpu"].ConsumedQuantity * 3600).To(And(
		BeNumerically(">", before*0.9+after/2), BeNumerically("<", cores*found["cpu"].seconds())))
	Expect(failure).To(MatchRegexp(`Prometheus has seen the operator at work in \d\d\.\d% of the time from \S+ to \S+\. What tenants used in the rest isn't counted\.`))

	By("which people read in a table")
	out, failure := m.usage(ctx, "--prometheus", m.prometheus.URL, "--from", from)
	Expect(failure).To(BeEmpty())
	Expect(out).To(MatchRegexp(`(?m)^NAME +CLASS +CPU \(core h\) +MEMORY \(GiB h\) +STORAGE \(GiB h\) +DATABASE \(GiB h\)\nacme +\d\.\d{3} +\d\.\d{3}\b`))
}

// billDatabase expects at least the sizes that Prometheus has seen, once in a second, and at most the largest one all the
// time: while the server can't be asked, the database is billed as it was, and Prometheus sees no size.
func (m *monitored) billDatabase(ctx context.Context) {
	GinkgoHelper()
	const gibibyteHour = float64(1<<30) * 3600
	Eventually(ctx, func(g Gomega) {
		// The first measurement of a server comes within a minute.
		found, _ := m.charges(ctx, g, "1h")
		ask := func(query string) float64 {
			values, err := m.prometheus.Value(ctx, query)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(values).To(HaveLen(1))
			return float64(values[0].Value)
		}
		seen := ask(`sum_over_time(tenantry_tenant_database_bytes{tenant="acme"}[1h])`)
		largest := ask(`max_over_time(tenantry_tenant_database_bytes{tenant="acme"}[1h])`)
		g.Expect(found["database"].ConsumedQuantity * gibibyteHour).To(And(
			BeNumerically(">", seen*3/4), BeNumerically("<", largest*time.Since(m.acme.CreationTimestamp.Time).Seconds())))
	}).WithPolling(time.Second).Should(Succeed())
}

// askInVain asks where there is no answer.
func (m *monitored) askInVain(ctx context.Context) {
	GinkgoHelper()
	older := m.scrape(ctx, "older", Rules{}, "{source_labels: [__name__], regex: tenantry_usage_.*, action: drop}")
	Eventually(ctx, older.Value).WithArguments(ctx, "tenantry_operator_working").ShouldNot(BeEmpty())
	for _, test := range []struct{ args, says string }{
		{"--from 1h", "--from needs a Prometheus that scrapes the operator: write --prometheus with its URL, or NAMESPACE/SERVICE:PORT"},
		{"--to 1h", "--to is about an interval; write --from, too, such as --from 30d."},
		{"--from tomorrow --prometheus " + m.prometheus.URL, `--from "tomorrow" is no time`},
		{"--from 1h --prometheus prometheus", `--prometheus is "prometheus"; write a URL such as http://localhost:9090, or NAMESPACE/SERVICE:PORT`},
		{"--from 1h --prometheus http://127.0.0.1:1", "Prometheus at http://127.0.0.1:1 doesn't answer: dial tcp 127.0.0.1:1: connect: connection refused."},
		{"--from 1h --prometheus http://bob:secret@127.0.0.1:1", "Prometheus at http://bob:xxxxx@127.0.0.1:1 doesn't answer"},
		{"--from 1h --prometheus " + m.prometheus.URL + "/elsewhere", "elsewhere is no Prometheus, isn't ready, or doesn't let you in"},
		{"--from 3d --to 2d --prometheus " + m.prometheus.URL, "has no metrics of Tenantry from "},
		{"--from 1h --match cluster= --prometheus " + m.prometheus.URL, "doesn't understand the query, perhaps because of --match: "},
		{"--from 1h --prometheus " + older.URL, "The operator had no counters of usage from "},
		{"--from 1h --prometheus default/nothing:9090", "There is no Service nothing in the namespace default."},
		{"--from 1h --prometheus default/nothing:9090 --as eve", "The user eve has no right to get services/proxy nothing in the namespace default. A cluster admin can grant it: kubectl create role tenantry-usage --namespace=default --verb=get --resource=services/proxy --resource-name=nothing:9090"},
	} {
		out, failure := m.usage(ctx, strings.Fields(test.args)...)
		Expect(out).To(BeEmpty(), test.args)
		Expect(failure).To(ContainSubstring(test.says), test.args)
	}

	By("and who asks through the API server gets the answer")
	// The real one proxies to no address of loopback, where this Prometheus is.
	target, err := url.Parse(m.prometheus.URL)
	Expect(err).NotTo(HaveOccurred())
	const path = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy"
	server := httptest.NewServer(http.StripPrefix(path, httputil.NewSingleHostReverseProxy(target)))
	DeferCleanup(server.Close)
	out, failure := m.usage(ctx, "--from", "1h", "--prometheus", "monitoring/prometheus:9090", "--server", server.URL)
	Expect(out).To(ContainSubstring("\nacme "), failure)
}
