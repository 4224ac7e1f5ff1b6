package nodes

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/images/project"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/hack/operator"
	names "github.com/tenantry/tenantry/internal/naming"
)

// patience is more than Kubernetes takes until a silent node counts as lost (50 s), or until it starts a container again
// that has ended some times (40 s).
const patience = 2 * time.Minute

// query runs SQL as the app's login, from within its pod, with nothing but its own settings.
const query = `
import os, sys, psycopg2
connection = psycopg2.connect(os.environ["DATABASE_URL"])
connection.autocommit = True
cursor = connection.cursor()
for statement in sys.argv[1:]:
    cursor.execute(statement)
print(connection.info.dsn_parameters["sslmode"], connection.info.ssl_attribute("protocol"), cursor.fetchall())
`

// dedicatedShop creates the shop of examples/flask with a PostgreSQL server of its own.
func dedicatedShop(ctx context.Context, name string) *v1alpha1.Tenant {
	GinkgoHelper()
	root, err := operator.Root(ctx)
	Expect(err).NotTo(HaveOccurred())
	content, err := os.ReadFile(filepath.Join(root, "examples", "flask", "tenant.yaml"))
	Expect(err).NotTo(HaveOccurred())
	tenant := &v1alpha1.Tenant{}
	Expect(yaml.UnmarshalStrict(content, tenant)).To(Succeed())
	tenant.Name = name
	tenant.Spec.App.Resources = corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")},
	}
	tenant.Spec.Database = &v1alpha1.TenantDatabase{
		Isolation: v1alpha1.DatabaseIsolationDedicated, ReclaimPolicy: v1alpha1.ReclaimPolicyDelete,
		Dedicated: &v1alpha1.DedicatedServer{Version: project.PostgreSQL, Storage: new(resource.MustParse("512Mi"))},
	}
	Expect(cl.Create(ctx, tenant)).To(Succeed())
	return tenant
}

func serverOf(tenant *v1alpha1.Tenant) *v1alpha1.DatabaseServer {
	return &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: names.DedicatedServer(tenant.Name)}}
}

// serverPod returns the pod of a tenant's own server.
func serverPod(ctx context.Context, tenant *v1alpha1.Tenant) *corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(cl.List(ctx, pods, client.InNamespace(names.DatabasesNamespace), client.MatchingLabels{names.LabelServer: serverOf(tenant).Name})).To(Succeed())
	Expect(pods.Items).To(HaveLen(1))
	return &pods.Items[0]
}

// sql returns what the app's database answers to the last of the statements.
func sql(ctx context.Context, tenant *v1alpha1.Tenant, statements ...string) (string, error) {
	return kubectl(ctx, append([]string{"exec", "--namespace=" + tenant.Name, "deployment/app", "--", "/usr/bin/python3", "-c", query}, statements...)...)
}

// orders returns what asks for the orders in the tenant's database. A pod may fail to connect for a moment after the
// tenant is Ready again, until its node knows of it.
func orders(tenant *v1alpha1.Tenant) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) { return sql(ctx, tenant, "SELECT number FROM orders") }
}

// says matches a Tenant or DatabaseServer whose condition Ready has this status and message.
func says(status metav1.ConditionStatus, message gomegatypes.GomegaMatcher) gomegatypes.GomegaMatcher {
	return HaveField("Status.Conditions", ContainElement(And(
		HaveField("Type", v1alpha1.ConditionReady), HaveField("Status", status), HaveField("Message", message))))
}

// nodeOf returns the node with that name.
func nodeOf(name string) *node.Node {
	GinkgoHelper()
	for number, n := range kubernetes.Nodes() {
		if node.Name(number+1) == name {
			return n
		}
	}
	Fail("there is no node " + name)
	return nil
}

// cutOff drops all packets to and from a node, as if its cable was pulled, and returns what lets them pass again.
func cutOff(ctx context.Context, n *node.Node) (restore func(context.Context)) {
	GinkgoHelper()
	rules := [][]string{{"INPUT", "-i", "eth0"}, {"OUTPUT", "-o", "eth0"}, {"FORWARD", "-i", "eth0"}, {"FORWARD", "-o", "eth0"}}
	each := func(ctx context.Context, action string) {
		for _, rule := range rules {
			_, err := n.Run(ctx, "iptables", append(append([]string{action}, rule...), "-j", "DROP")...)
			Expect(err).NotTo(HaveOccurred())
		}
	}
	each(ctx, "-I")
	return func(ctx context.Context) { each(ctx, "-D") }
}

var _ = Describe("A server of a tenant's own", Ordered, func() {
	var tenant *v1alpha1.Tenant

	BeforeAll(func(ctx SpecContext) {
		By("keeping its server off the operator's node, which is to see what happens to it")
		operators := &corev1.PodList{}
		Expect(cl.List(ctx, operators, client.InNamespace(operator.Namespace))).To(Succeed())
		taken := operators.Items[0].Spec.NodeName
		Expect(kubectl(ctx, "cordon", taken)).To(ContainSubstring("cordoned"))
		DeferCleanup(func(ctx SpecContext) error {
			_, err := kubectl(ctx, "uncordon", taken)
			return err
		})
		tenant = dedicatedShop(ctx, "treasury")
		Eventually(ctx, komega.Object(serverOf(tenant))).Should(ready())
		Expect(kubectl(ctx, "uncordon", taken)).To(ContainSubstring("uncordoned"))
		Eventually(ctx, komega.Object(tenant)).Should(ready())
	}, NodeTimeout(specTimeout))

	It("is there before the app is, whose containers never ended", func(ctx SpecContext) {
		for _, pod := range podsOf(ctx, tenant.Name) {
			Expect(pod.Status.ContainerStatuses).To(HaveEach(And(HaveField("RestartCount", BeZero()), HaveField("Ready", true))), pod.Name)
		}
	}, SpecTimeout(specTimeout))

	It("answers the app over TLS, on a volume of the size that it asks for", func(ctx SpecContext) {
		pod := podsOf(ctx, tenant.Name)[0]
		Expect(kubectl(ctx, "exec", "--namespace="+pod.Namespace, pod.Name, "--", "/usr/bin/python3", "-c", storeOrder)).To(ContainSubstring(`"A-1"`))
		Expect(sql(ctx, tenant, "SELECT version()")).To(MatchRegexp(`^verify-full TLSv1\.3 .*PostgreSQL %s\.`, project.PostgreSQL))
		server := serverPod(ctx, tenant)
		Expect(kubectl(ctx, "exec", "--namespace="+server.Namespace, server.Name, "--container=postgres", "--", "id")).To(
			HavePrefix("uid=999(postgres) gid=999(postgres)"))
		Expect(kubectl(ctx, "exec", "--namespace="+server.Namespace, server.Name, "--container=postgres", "--",
			"df", "--output=target,fstype,size", "--block-size=1M", "/var/lib/postgresql/data")).To(MatchRegexp(`/var/lib/postgresql/data +xfs +448`))
	}, SpecTimeout(specTimeout))

	It("comes back with its data after a crash", func(ctx SpecContext) {
		pod := serverPod(ctx, tenant)
		container, _ := strings.CutPrefix(pod.Status.ContainerStatuses[0].ContainerID, "containerd://")
		_, err := nodeOf(pod.Spec.NodeName).Ctr(ctx, "tasks", "kill", "--signal=SIGKILL", container)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, komega.Object(pod)).WithTimeout(patience).Should(HaveField("Status.ContainerStatuses", ConsistOf(And(
			HaveField("RestartCount", BeEquivalentTo(1)), HaveField("Ready", true)))))
		Eventually(ctx, komega.Object(tenant)).WithTimeout(patience).Should(ready())
		Eventually(ctx, orders(tenant)).Should(ContainSubstring("A-1"))
	}, SpecTimeout(specTimeout))

	It("says that its node is lost, and goes on once the node is back", func(ctx SpecContext) {
		pod := serverPod(ctx, tenant)
		restore := cutOff(ctx, nodeOf(pod.Spec.NodeName))
		cut := true
		DeferCleanup(func(ctx SpecContext) {
			if cut {
				restore(ctx)
			}
		})
		lost := ContainSubstring("its node " + pod.Spec.NodeName + " does not answer")
		Eventually(ctx, komega.Object(serverOf(tenant))).WithTimeout(patience).Should(says(metav1.ConditionFalse, lost))
		Eventually(ctx, komega.Object(tenant)).WithTimeout(patience).Should(says(metav1.ConditionFalse, lost))
		restore(ctx)
		cut = false
		Eventually(ctx, komega.Object(tenant)).WithTimeout(patience).Should(ready())
		Eventually(ctx, orders(tenant)).Should(ContainSubstring("A-1"))
	}, SpecTimeout(specTimeout))

	It("keeps its data when its volume is full, and takes more once it has more storage", func(ctx SpecContext) {
		// A page has room for one of these rows. Without a write-ahead log, nothing but the table can fill the volume.
		// Nothing makes room again by itself.
		Expect(sql(ctx, tenant, "CREATE UNLOGGED TABLE filler (content text) WITH (fillfactor = 10, autovacuum_enabled = off)", "SELECT 1")).To(ContainSubstring("(1,)"))
		const megabytes = "INSERT INTO filler SELECT repeat('x', 1000) FROM generate_series(1, 10 * 128)"
		answer, err := sql(ctx, tenant, slices.Repeat([]string{megabytes}, 60)...)
		Expect(err).To(HaveOccurred(), "it takes 600 MB on a volume of 448 MB")
		Expect(fmt.Sprint(answer, err)).To(ContainSubstring("No space left on device"))
		Expect(sql(ctx, tenant, "SELECT number FROM orders")).To(ContainSubstring("A-1"))

		By("saying so, and what to do")
		full := And(ContainSubstring("volume of 512Mi is full"), ContainSubstring("No space left on device"), ContainSubstring("Raise spec.database.dedicated.storage of the Tenant."))
		for _, object := range []client.Object{serverOf(tenant), tenant} {
			Eventually(ctx, komega.Object(object)).Should(And(says(metav1.ConditionFalse, full), HaveField("Status.Conditions", ContainElement(And(
				HaveField("Type", v1alpha1.ConditionStalled), HaveField("Reason", v1alpha1.ReasonDiskFull))))))
		}
		Expect(tenant.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionAppReady), HaveField("Status", metav1.ConditionTrue))))
		Expect(sql(ctx, tenant, "SELECT number FROM orders")).To(ContainSubstring("A-1"))

		container := serverPod(ctx, tenant).Status.ContainerStatuses[0].ContainerID
		Eventually(ctx, komega.Update(tenant, func() { tenant.Spec.Database.Dedicated.Storage = new(resource.MustParse("1Gi")) })).Should(Succeed())
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: names.DatabasesNamespace, Name: names.ServerVolume(serverOf(tenant).Name)}}
		Eventually(ctx, func() (string, error) {
			err := cl.Get(ctx, client.ObjectKeyFromObject(claim), claim)
			return claim.Status.Capacity.Storage().String(), err
		}).Should(Equal("1Gi"))
		Eventually(ctx, komega.Object(tenant)).Should(ready())
		Expect(serverOf(tenant)).To(WithTransform(func(server *v1alpha1.DatabaseServer) (*v1alpha1.DatabaseServer, error) {
			return server, cl.Get(ctx, client.ObjectKeyFromObject(server), server)
		}, ready()))
		Expect(sql(ctx, tenant, append(slices.Repeat([]string{megabytes}, 20), "SELECT number FROM orders")...)).To(ContainSubstring("A-1"))
		Expect(serverPod(ctx, tenant)).To(HaveField("Status.ContainerStatuses", HaveExactElements(HaveField("ContainerID", container))), "it has grown in use")
		Expect(sql(ctx, tenant, "DROP TABLE filler", "SELECT 1")).To(ContainSubstring("(1,)"))
	}, SpecTimeout(specTimeout))

	It("says that it has too little memory, and goes on once it has more", func(ctx SpecContext) {
		limit := func(amount string) {
			GinkgoHelper()
			Eventually(ctx, komega.Update(tenant, func() {
				tenant.Spec.Database.Dedicated.Resources = corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(amount)}}
			})).Should(Succeed())
			Eventually(ctx, func() (bool, error) {
				pods := &corev1.PodList{}
				err := cl.List(ctx, pods, client.InNamespace(names.DatabasesNamespace))
				return len(pods.Items) == 1 && pods.Items[0].Spec.Containers[0].Resources.Limits.Memory().String() == amount, err
			}).Should(BeTrue())
		}
		// Less than PostgreSQL needs to start, so that it doesn't matter which process the kernel ends.
		limit("16Mi")
		lacks := And(Or(ContainSubstring("OOMKilled"), ContainSubstring("OOM-killed")), ContainSubstring("raise spec.database.dedicated.resources.limits.memory"))
		Eventually(ctx, komega.Object(serverOf(tenant))).WithTimeout(patience).Should(says(metav1.ConditionFalse, lacks))
		Eventually(ctx, komega.Object(tenant)).WithTimeout(patience).Should(says(metav1.ConditionFalse, lacks))
		limit("256Mi")
		Eventually(ctx, komega.Object(tenant)).WithTimeout(patience).Should(ready())
		Eventually(ctx, orders(tenant)).Should(ContainSubstring("A-1"))
	}, SpecTimeout(specTimeout))

	It("goes with its volume when its tenant is deleted", func(ctx SpecContext) {
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: names.DatabasesNamespace, Name: names.ServerVolume(serverOf(tenant).Name)}}
		Expect(komega.Get(claim)()).To(Succeed())
		on := nodeOf(serverPod(ctx, tenant).Spec.NodeName)
		Expect(on.Run(ctx, "cat", "/proc/1/mounts")).To(ContainSubstring(claim.Spec.VolumeName))
		Expect(cl.Delete(ctx, tenant)).To(Succeed())
		volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: claim.Spec.VolumeName}}
		Eventually(ctx, komega.Get(volume)).WithTimeout(patience).Should(MatchError(apierrors.IsNotFound, "IsNotFound"))
		Expect(on.Run(ctx, "cat", "/proc/1/mounts")).NotTo(ContainSubstring(claim.Spec.VolumeName))
	}, SpecTimeout(specTimeout))
})
