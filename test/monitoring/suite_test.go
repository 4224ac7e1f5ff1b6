package monitoring

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/hack/freeport"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/prometheus"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	// holds and rate replace the minutes of the rules: see Rules.Hurry.
	holds = "2s"
	rate  = "15s"
	// scrapeInterval is how often Prometheus looks.
	scrapeInterval = "1s"
)

func TestMonitoring(t *testing.T) { environment.RunSpecs(t, "Monitoring") }

// root returns the folder of the checkout.
func root(ctx context.Context) string {
	GinkgoHelper()
	folder, err := operator.Root(ctx)
	Expect(err).NotTo(HaveOccurred())
	return folder
}

// programs returns the paths of prometheus and promtool.
func programs(ctx context.Context) (server, tool string) {
	GinkgoHelper()
	server, tool, err := prometheus.Programs(ctx, filepath.Join(root(ctx), ".local", "prometheus"), GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	return server, tool
}

func readRules(ctx context.Context) Rules {
	GinkgoHelper()
	rules, err := ReadRules(root(ctx))
	Expect(err).NotTo(HaveOccurred())
	return rules
}

func writeRules(folder string, rules Rules) {
	GinkgoHelper()
	content, err := rules.File()
	Expect(err).NotTo(HaveOccurred())
	Expect(os.WriteFile(filepath.Join(folder, "rules.yaml"), content, 0o600)).To(Succeed())
}

// site is what the specs about a running Prometheus share.
type site struct {
	*environment.Environment
	prometheus *prometheus.Server
	began      time.Time
	// metricsAddress is where the operator serves its metrics, and scraper a token for who reads them.
	metricsAddress, scraper string
}

// start starts an operator and a Prometheus that scrapes it, which end with the container of the specs.
func start(ctx context.Context) *site {
	GinkgoHelper()
	ports, err := freeport.Find(1)
	Expect(err).NotTo(HaveOccurred())
	metricsAddress := fmt.Sprintf("127.0.0.1:%d", ports[0])
	env, err := environment.Start(ctx, environment.Options{
		// The operator keeps its address over restarts, as a Service would give it one.
		Name: "monitoring", OperatorArgs: []string{"--leader-elect=false", "--metrics-bind-address=" + metricsAddress}, Progress: GinkgoWriter,
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(env.Stop)
	komega.SetClient(env.Client)
	made := &site{Environment: env, began: time.Now(), metricsAddress: metricsAddress}
	made.scraper = made.token(ctx)
	rules := readRules(ctx)
	rules.Hurry(holds, rate)
	made.prometheus = made.scrape(ctx, "prometheus", rules, "")
	return made
}

// scrape starts a Prometheus that scrapes the operator, which ends with the container of the specs. more are further
// settings of that, as a flow of YAML.
func (s *site) scrape(ctx context.Context, name string, rules Rules, more string) *prometheus.Server {
	GinkgoHelper()
	program, _ := programs(ctx)
	dir := filepath.Join(s.Dir, name)
	Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
	writeRules(dir, rules)
	server, err := prometheus.Start(ctx, prometheus.Options{Program: program, Dir: dir, Config: fmt.Sprintf(`
global: {scrape_interval: %[1]s, evaluation_interval: %[1]s}
rule_files: [rules.yaml]
scrape_configs:
- job_name: tenantry-manager-metrics
  scheme: https
  tls_config: {insecure_skip_verify: true}
  authorization: {credentials: %[2]s}
  static_configs: [{targets: [%[3]q]}]
  metric_relabel_configs: [%[4]s]
`, scrapeInterval, s.scraper, s.metricsAddress, more)})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(server.Stop)
	return server
}

// token returns a token of a ServiceAccount that may read the operator's metrics, as docs/monitoring.md says to bind it.
func (s *site) token(ctx context.Context) string {
	GinkgoHelper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "prometheus"}}
	Expect(s.Client.Create(ctx, account)).To(Succeed())
	Expect(s.Client.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tenantry-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}},
	})).To(Succeed())
	token := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(4 * 3600))}}
	Expect(s.Client.SubResource("token").Create(ctx, account, token)).To(Succeed())
	return token.Status.Token
}

// change updates an object, and repeats that after a conflict.
func change(ctx context.Context, object client.Object, mutate func()) {
	GinkgoHelper()
	Eventually(ctx, komega.Update(object, mutate)).Should(Succeed())
}

func run(ctx context.Context, folder, program string, args ...string) {
	GinkgoHelper()
	command := exec.CommandContext(ctx, program, args...)
	command.Dir = folder
	output, err := command.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(output))
}
