package monitoring

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"
)

// runbooks is where the alerts say that their runbooks are.
const runbooks = "https://github.com/tenantry/tenantry/blob/main/docs/runbooks.md#"

var _ = Describe("The rules of config/prometheus", func() {
	It("pass their unit tests, which cover each alert", func(ctx SpecContext) {
		_, tool := programs(ctx)
		folder := GinkgoT().TempDir()
		rules := readRules(ctx)
		writeRules(folder, rules)
		run(ctx, folder, tool, "check", "rules", "--lint-fatal", "rules.yaml")
		content, err := os.ReadFile("promtool.yaml")
		Expect(err).NotTo(HaveOccurred())
		Expect(os.WriteFile(filepath.Join(folder, "promtool.yaml"), content, 0o600)).To(Succeed())
		run(ctx, folder, tool, "test", "rules", "promtool.yaml")

		var units struct {
			Tests []struct {
				Cases []struct {
					Name   string `json:"alertname"`
					Alerts []any  `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			} `json:"tests"`
		}
		Expect(yaml.Unmarshal(content, &units)).To(Succeed())
		fires, ends := map[string]bool{}, map[string]bool{}
		for _, test := range units.Tests {
			for _, point := range test.Cases {
				fires[point.Name] = fires[point.Name] || len(point.Alerts) > 0
				ends[point.Name] = fires[point.Name] && len(point.Alerts) == 0
			}
		}
		for _, name := range slices.Sorted(maps.Keys(rules.Alerts())) {
			Expect(fires).To(HaveKeyWithValue(name, true), "%s fires in no test", name)
			Expect(ends).To(HaveKeyWithValue(name, true), "%s doesn't end in its test", name)
		}
	}, SpecTimeout(2*time.Minute))

	It("have a runbook for each alert", func(ctx SpecContext) {
		content, err := os.ReadFile(filepath.Join(root(ctx), "docs", "runbooks.md"))
		Expect(err).NotTo(HaveOccurred())
		var headings []string
		for line := range strings.Lines(string(content)) {
			if heading, found := strings.CutPrefix(strings.TrimSpace(line), "## "); found {
				headings = append(headings, heading)
			}
		}
		alerts := readRules(ctx).Alerts()
		Expect(headings).To(ConsistOf(slices.Collect(maps.Keys(alerts))), "a runbook for each alert, and none for others")
		for name, alert := range alerts {
			Expect(alert.Annotations).To(HaveKeyWithValue("runbook_url", runbooks+strings.ToLower(name)))
		}
	}, SpecTimeout(time.Minute))
})
