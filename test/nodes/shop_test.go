package nodes

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/operator"
)

// storeOrder stores an order from within an app's pod, as a client of the shop would, and prints all orders.
const storeOrder = `
import json, os, urllib.request
url = "http://127.0.0.1:" + os.environ["PORT"] + "/orders"
order = json.dumps({"number": "A-1", "lines": [{"article": "bolt", "quantity": 3}]}).encode()
urllib.request.urlopen(urllib.request.Request(url, order, {"Content-Type": "application/json"}))
print(urllib.request.urlopen(url).read().decode())
`

var _ = Describe("The shop of examples/flask", func() {
	DescribeTable("runs in a container under the standard Restricted, and stores orders,", func(ctx SpecContext, isolation v1alpha1.DatabaseIsolation) {
		root, err := operator.Root(ctx)
		Expect(err).NotTo(HaveOccurred())
		content, err := os.ReadFile(filepath.Join(root, "examples", "flask", "tenant.yaml"))
		Expect(err).NotTo(HaveOccurred())
		tenant := &v1alpha1.Tenant{}
		Expect(yaml.UnmarshalStrict(content, tenant)).To(Succeed())
		tenant.Name = "flask-" + strings.ToLower(string(isolation))
		tenant.Spec.Database.ServerRef.Name, tenant.Spec.Database.Isolation = shared, isolation
		if isolation == v1alpha1.DatabaseIsolationRow {
			tenant.Spec.Database.SharedTables = v1alpha1.SharedTablesManage
		}
		tenant.Spec.App.Resources = corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
			Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
		}
		Expect(cl.Create(ctx, tenant)).To(Succeed())
		Eventually(ctx, komega.Object(tenant)).Should(ready())

		pod := podsOf(ctx, tenant.Name)[0]
		Expect(kubectl(ctx, "exec", "--namespace="+pod.Namespace, pod.Name, "--", "/usr/bin/python3", "-c", storeOrder)).To(ContainSubstring(`"A-1"`))
		Expect(kubectl(ctx, "exec", "--namespace="+pod.Namespace, pod.Name, "--", "id")).To(HavePrefix("uid=65532(nonroot) gid=65532(nonroot)"))
		Expect(kubectl(ctx, "logs", "--namespace="+pod.Namespace, pod.Name)).To(ContainSubstring("Serving on"))
	},
		Entry("in isolation Database", v1alpha1.DatabaseIsolationDatabase, SpecTimeout(specTimeout)),
		Entry("in isolation Schema", v1alpha1.DatabaseIsolationSchema, SpecTimeout(specTimeout)),
		Entry("in isolation Row", v1alpha1.DatabaseIsolationRow, SpecTimeout(specTimeout)),
	)
})
