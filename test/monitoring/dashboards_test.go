package monitoring

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// panel is a panel of a Grafana dashboard, or a row of them.
type panel struct {
	Title   string  `json:"title"`
	Panels  []panel `json:"panels"`
	Targets []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
}

// queriesOf returns the queries of the dashboards in a file, by the titles of their panels.
func queriesOf(file string) map[string][]string {
	GinkgoHelper()
	content, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	var dashboard panel
	Expect(json.Unmarshal(content, &dashboard)).To(Succeed())
	queries := map[string][]string{}
	var collect func(panel)
	collect = func(p panel) {
		for _, target := range p.Targets {
			queries[p.Title] = append(queries[p.Title], target.Expr)
		}
		for _, inner := range p.Panels {
			collect(inner)
		}
	}
	collect(dashboard)
	return queries
}

// dashboards returns the files of the dashboards.
func dashboards(ctx context.Context) []string {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(root(ctx), "config", "prometheus", "dashboards", "*.json"))
	Expect(err).NotTo(HaveOccurred())
	Expect(files).NotTo(BeEmpty())
	return files
}

// drawn returns how many series a query has had since the specs began, for the tenant acme, as Grafana would draw them.
func (s *site) drawn(ctx context.Context, expr string) (int, error) {
	// Some of it lasts a few seconds only, so the step is that between two scrapes. A zero that is shown where there is nothing is no data.
	expr = strings.NewReplacer("$tenant", "acme", " or vector(0)", "").Replace(expr)
	value, _, err := s.prometheus.QueryRange(ctx, expr, v1.Range{Start: s.began, End: time.Now(), Step: time.Second})
	if err != nil {
		return 0, err
	}
	return len(value.(model.Matrix)), nil
}
