package nodes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/images/project"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
)

const (
	// rotations is how often the password changes while requests come in.
	rotations   = 3
	shopTimeout = 15 * time.Minute
	// crowded is for what takes seconds if one app does it, and far longer if twelve do it beside another suite.
	crowded = 5 * time.Minute
	// storeOrder stores an order from within an app's pod, as a client of the shop would, and prints all orders.
	storeOrder = `
import json, os, urllib.request
url = "http://127.0.0.1:" + os.environ["PORT"] + "/orders"
order = json.dumps({"number": "A-1", "lines": [{"article": "bolt", "quantity": 3}]}).encode()
urllib.request.urlopen(urllib.request.Request(url, order, {"Content-Type": "application/json"}))
print(urllib.request.urlopen(url).read().decode())
`
)

var isolations = []v1alpha1.DatabaseIsolation{
	v1alpha1.DatabaseIsolationDatabase, v1alpha1.DatabaseIsolationSchema, v1alpha1.DatabaseIsolationRow,
}

// shop returns a Tenant that runs one of the examples.
func shop(ctx SpecContext, framework string, isolation v1alpha1.DatabaseIsolation) *v1alpha1.Tenant {
	GinkgoHelper()
	root, err := operator.Root(ctx)
	Expect(err).NotTo(HaveOccurred())
	content, err := os.ReadFile(filepath.Join(root, "examples", framework, "tenant.yaml"))
	Expect(err).NotTo(HaveOccurred())
	tenant := &v1alpha1.Tenant{}
	Expect(yaml.UnmarshalStrict(content, tenant)).To(Succeed())
	tenant.Name = framework + "-" + strings.ToLower(string(isolation))
	// Each app has its own tables, which tenants with the isolation Row share.
	tenant.Spec.Database.ServerRef.Name, tenant.Spec.Database.Isolation = framework, isolation
	if isolation == v1alpha1.DatabaseIsolationRow {
		tenant.Spec.Database.SharedTables = v1alpha1.SharedTablesManage
	}
	// The next password comes once the former login has ended, which must be good as long as a pod with it.
	tenant.Spec.Database.Credentials.Rotation.GracePeriod = &metav1.Duration{Duration: time.Minute}
	tenant.Spec.Network.Ingress = []networkingv1.NetworkPolicyIngressRule{fromOutside()}
	tenant.Spec.App.Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
	}
	return tenant
}

// rotate gives the tenants new passwords, and waits until all their pods have them. Meanwhile, a schedule runs in each of
// the shops.
func rotate(ctx SpecContext, tenants []*v1alpha1.Tenant, shops []*working, request string) {
	GinkgoHelper()
	for _, shop := range shops {
		shop.startRun(ctx, request)
	}
	for _, tenant := range tenants {
		Eventually(ctx, komega.Update(tenant, func() {
			tenant.Annotations = map[string]string{v1alpha1.AnnotationRotateCredentials: request}
		})).Should(Succeed())
	}
	for _, tenant := range tenants {
		Eventually(ctx, komega.Object(tenant)).WithTimeout(crowded).Should(HaveField("Status.Database.RotationRequest", request))
		Eventually(ctx, komega.Object(tenant)).WithTimeout(crowded).Should(ready())
		rolledOut(ctx, tenant.Name)
	}
}

// offers are where the shops say what the feature free-delivery decides, and with which words.
var offers = map[string]struct{ path, free string }{
	"django": {"/", "Delivery is free."}, "fastapi": {"/offers", `{"free_delivery":true}`},
}

// inTime is how soon the app answers otherwise, at the latest, once a feature was edited.
const inTime = 5 * time.Second

var _ = Describe("The shop of each of the examples, in each isolation,", Ordered, ContinueOnFailure, func() {
	var (
		servers []*postgres.Server
		tenants []*v1alpha1.Tenant
	)

	BeforeAll(func(ctx SpecContext) {
		for number, framework := range project.Examples {
			servers = append(servers, startPostgres(ctx, ports[number+1]))
			register(ctx, framework, servers[number])
			for _, isolation := range isolations {
				tenants = append(tenants, shop(ctx, framework, isolation))
			}
		}
		for _, tenant := range tenants {
			Expect(cl.Create(ctx, tenant)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(cl.Delete(ctx, tenant)).To(Succeed()) })
		}
		for _, tenant := range tenants {
			Eventually(ctx, komega.Object(tenant)).WithTimeout(crowded).Should(ready())
		}
	}, NodeTimeout(shopTimeout))

	It("answers otherwise within 5 seconds of the edit of a feature that it watches, from the containers that ran before", func(ctx SpecContext) {
		for _, tenant := range tenants {
			if tenant.Spec.App.Reload != v1alpha1.ReloadWatch {
				continue
			}
			offer := offers[tenant.Spec.Database.ServerRef.Name]
			Eventually(ctx, page).WithArguments(tenant.Name, offer.path).Should(ContainSubstring(offer.free))
			containers := containersOf(ctx, tenant.Name)
			edit := time.Now()
			Eventually(ctx, komega.Update(tenant, func() { tenant.Spec.Features["free-delivery"] = apiextensionsv1.JSON{Raw: []byte("false")} })).Should(Succeed())
			Eventually(ctx, page).WithArguments(tenant.Name, offer.path).ShouldNot(ContainSubstring(offer.free))
			took := time.Since(edit)
			AddReportEntry("The app of "+tenant.Name+" answers otherwise after the edit of a feature", took.Round(time.Millisecond))
			Expect(took).To(BeNumerically("<", inTime), tenant.Name)
			Expect(containersOf(ctx, tenant.Name)).To(Equal(containers))
		}
	}, SpecTimeout(specTimeout))

	It("runs in a container under the standard Restricted, and no request, worker or run of a schedule fails while passwords change", func(ctx SpecContext) {
		var clients []*asking
		var shops []*working
		for _, tenant := range tenants {
			Expect(kubectl(ctx, "exec", "--namespace="+tenant.Name, "deployment/app", "--", "/usr/bin/python3", "-c", storeOrder)).To(ContainSubstring(`"A-1"`))
			Eventually(ctx, page).WithArguments(tenant.Name, "/orders").Should(ContainSubstring(`"A-1"`))
			clients = append(clients, ask(ctx, tenant.Name, "/orders", manyClients))
			if len(tenant.Spec.App.Workers) > 0 {
				shops = append(shops, work(ctx, tenant))
			}
		}
		refused := refusals(servers)
		for number := range rotations {
			rotate(ctx, tenants, shops, fmt.Sprint(number))
		}
		for number, client := range clients {
			printed, err := client.answered()
			Expect(printed, err).To(allAnswered(), tenants[number].Name)
			AddReportEntry(tenants[number].Name+", requests while its password changed", strings.TrimSpace(printed))
		}
		for _, shop := range shops {
			shop.check(ctx)
		}
		Expect(refusals(servers)).To(Equal(refused), "what the servers have refused before")
	}, SpecTimeout(shopTimeout))
})

// containersOf returns what is new with each new pod, and each start of a container, of a tenant.
func containersOf(ctx SpecContext, tenant string) (containers []string) {
	GinkgoHelper()
	for _, pod := range podsOf(ctx, tenant) {
		for _, status := range pod.Status.ContainerStatuses {
			containers = append(containers, fmt.Sprint(pod.Name, pod.UID, status.ContainerID, status.State.Running.StartedAt))
		}
	}
	return containers
}
