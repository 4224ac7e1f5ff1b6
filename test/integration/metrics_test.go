package integration

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("The metrics of a tenant", func() {
	// seriesOf returns the series that the operator serves of a tenant.
	seriesOf := func(ctx context.Context, token, tenant string) func() ([]string, error) {
		return func() (found []string, err error) {
			_, body, err := get(ctx, env.Operator.MetricsURL, token)
			for line := range strings.Lines(body) {
				if (strings.HasPrefix(line, "tenantry_tenant_") || strings.HasPrefix(line, "tenantry_usage_")) && strings.Contains(line, `tenant="`+tenant+`"`) {
					found = append(found, strings.TrimSpace(line))
				}
			}
			return found, err
		}
	}

	It("say what its status says and what its database takes, and end with it", func(ctx SpecContext) {
		token := tokenOf(ctx, "reads-metrics-of-tenants", "tenantry-metrics-reader")
		tenant := applyReady(ctx, whole("metered"))
		session, err := env.Login(ctx, tenant)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) error { return session.Close(ctx) })

		By("waiting for the measurement of the server, which comes once in a minute")
		Eventually(ctx, seriesOf(ctx, token, tenant.Name)).WithTimeout(2 * time.Minute).Should(And(
			ContainElement(`tenantry_tenant_database_connections{tenant="metered"} 1`),
			ContainElement(HavePrefix(`tenantry_tenant_database_bytes{tenant="metered"} `))))
		series, err := seriesOf(ctx, token, tenant.Name)()
		Expect(err).NotTo(HaveOccurred())
		Expect(series).To(ContainElements(
			`tenantry_tenant_info{class="",isolation="Database",revision="",server="shared",tenant="metered"} 1`,
			`tenantry_tenant_condition{reason="Ready",status="True",tenant="metered",type="Ready"} 1`,
			`tenantry_tenant_quota_hard{resource="pods",tenant="metered"} 10`,
			`tenantry_tenant_quota_used{resource="pods",tenant="metered"} 2`,
			`tenantry_tenant_app_replicas{tenant="metered"} 2`,
			`tenantry_tenant_app_ready_replicas{tenant="metered"} 2`,
			HavePrefix(`tenantry_tenant_credentials_rotated_timestamp_seconds{tenant="metered"} `),
			HavePrefix(`tenantry_tenant_database_connection_limit{tenant="metered"} `),
			HavePrefix(`tenantry_usage_database_byte_seconds_total{class="",tenant="metered"} `)))
		Expect(len(series)).To(BeNumerically("<", 40))

		Expect(session.Close(ctx)).To(Succeed())
		remove(ctx, tenant)
		Eventually(ctx, seriesOf(ctx, token, tenant.Name)).Should(BeEmpty())
	}, SpecTimeout(specTimeout))

	It("have the series of each server beside them", func(ctx SpecContext) {
		token := tokenOf(ctx, "reads-metrics-of-servers", "tenantry-metrics-reader")
		Eventually(ctx, func() (string, error) {
			_, body, err := get(ctx, env.Operator.MetricsURL, token)
			return body, err
		}).Should(And(
			ContainSubstring(`tenantry_database_server_up{server="shared"} 1`),
			ContainSubstring(`tenantry_database_server_condition{reason="Ready",server="shared",status="True",type="Ready"} 1`),
			ContainSubstring(`tenantry_database_server_probe_seconds{server="shared"} `),
			ContainSubstring(`tenantry_database_server_drifted_tenants{server="shared"} 0`)))
	}, SpecTimeout(specTimeout))
})

// tokenOf creates a ServiceAccount in the namespace default, with the ClusterRole if one is given, and returns a
// token of it.
func tokenOf(ctx context.Context, name, clusterRole string) string {
	GinkgoHelper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}}
	Expect(client.IgnoreAlreadyExists(env.Client.Create(ctx, account))).To(Succeed())
	if clusterRole != "" {
		Expect(client.IgnoreAlreadyExists(env.Client.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}},
		}))).To(Succeed())
	}
	token := &authenticationv1.TokenRequest{}
	Expect(env.Client.SubResource("token").Create(ctx, account, token)).To(Succeed())
	return token.Status.Token
}

// get sends an HTTP request to the operator. The token may be empty.
func get(ctx context.Context, url, token string) (code int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	// The operator signs its certificate itself.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), err
}
