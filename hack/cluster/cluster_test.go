package cluster

import (
	"bufio"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gstruct"
	"github.com/prometheus/procfs"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const specTimeout = time.Minute

var _ = Describe("A control plane", func() {
	It("is of the version that hack/kubernetes requires", func(ctx SpecContext) {
		required, err := goOutput(ctx, "../kubernetes", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
		Expect(err).NotTo(HaveOccurred())
		asked, err := discovery.NewDiscoveryClientForConfig(controlPlane.Config())
		Expect(err).NotTo(HaveOccurred())
		Expect(asked.ServerVersion()).To(HaveField("GitVersion", required))
	}, SpecTimeout(specTimeout))

	It("has nodes that are Ready", func(ctx SpecContext) {
		var nodes corev1.NodeList
		Expect(admin.List(ctx, &nodes)).To(Succeed())
		Expect(nodes.Items).To(HaveLen(defaultNodes))
		Expect(nodes.Items).To(HaveEach(HaveField("Status.Conditions", ContainElement(And(
			HaveField("Type", corev1.NodeReady), HaveField("Status", corev1.ConditionTrue))))))
		Expect(nodes.Items).To(HaveEach(HaveField("Status.Allocatable", HaveKeyWithValue(
			corev1.ResourcePods, BeComparableTo(resource.MustParse("10k"))))))
	}, SpecTimeout(specTimeout))

	It("runs the pods of a Deployment", func(ctx SpecContext) {
		labels := map[string]string{"app": "shop"}
		deployment := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(ctx, nil), Name: "shop"},
			Spec: appsv1.DeploymentSpec{
				Replicas: ptr.To[int32](3),
				Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec:       newPod("", "registry.example/shop:1").Spec,
				},
			},
		}
		Expect(admin.Create(ctx, deployment)).To(Succeed())
		Eventually(func() (int32, error) {
			err := admin.Get(ctx, client.ObjectKeyFromObject(deployment), deployment)
			return deployment.Status.AvailableReplicas, err
		}).WithContext(ctx).Should(Equal(int32(3)))
	}, SpecTimeout(specTimeout))

	It("enforces and fills ResourceQuotas", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		quota := &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "quota"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("1")}},
		}
		Expect(admin.Create(ctx, quota)).To(Succeed())
		used := func() (corev1.ResourceList, error) {
			err := admin.Get(ctx, client.ObjectKeyFromObject(quota), quota)
			return quota.Status.Used, err
		}
		pods := func(count string) OmegaMatcher {
			return HaveKeyWithValue(corev1.ResourcePods, BeComparableTo(resource.MustParse(count)))
		}
		Eventually(used).WithContext(ctx).Should(pods("0"))

		Expect(admin.Create(ctx, newPod(namespace, "registry.example/shop:1"))).To(Succeed())
		Eventually(used).WithContext(ctx).Should(pods("1"))
		err := admin.Create(ctx, newPod(namespace, "registry.example/shop:1"))
		Expect(err).To(MatchError(ContainSubstring("exceeded quota")))
	}, SpecTimeout(specTimeout))

	It("enforces Pod Security", func(ctx SpecContext) {
		namespace := newNamespace(ctx, map[string]string{"pod-security.kubernetes.io/enforce": "baseline"})
		pod := newPod(namespace, "registry.example/shop:1")
		pod.Spec.HostNetwork = true
		Expect(admin.Create(ctx, pod)).To(MatchError(ContainSubstring("violates PodSecurity")))
	}, SpecTimeout(specTimeout))

	It("collects the dependents of what is deleted", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "owner"}}
		Expect(admin.Create(ctx, owner)).To(Succeed())
		dependent := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      "dependent",
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
			},
		}}
		Expect(admin.Create(ctx, dependent)).To(Succeed())
		Expect(admin.Delete(ctx, owner)).To(Succeed())
		Eventually(ctx, admin.Get).WithArguments(ctx, client.ObjectKeyFromObject(dependent), dependent).
			Should(MatchError(apierrors.IsNotFound, "not found"))
	}, SpecTimeout(specTimeout))

	It("deletes namespaces with all that is in them", func(ctx SpecContext) {
		namespace := newNamespace(ctx, nil)
		pod := newPod(namespace, "registry.example/shop:1")
		Expect(admin.Create(ctx, pod)).To(Succeed())
		deleted := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		Expect(admin.Delete(ctx, deleted)).To(Succeed())
		Eventually(ctx, admin.Get).WithArguments(ctx, client.ObjectKeyFromObject(deleted), deleted).
			Should(MatchError(apierrors.IsNotFound, "not found"))
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(MatchError(apierrors.IsNotFound, "not found"))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Failing images", func() {
	state := func(ctx SpecContext, pod *corev1.Pod) func() ([]corev1.ContainerState, error) {
		return func() ([]corev1.ContainerState, error) {
			err := admin.Get(ctx, client.ObjectKeyFromObject(pod), pod)
			var states []corev1.ContainerState
			for _, status := range pod.Status.ContainerStatuses {
				states = append(states, status.State)
			}
			return states, err
		}
	}
	waiting := func(reason, message string) OmegaMatcher {
		return HaveField("Waiting", gstruct.PointTo(And(
			HaveField("Reason", reason), HaveField("Message", ContainSubstring(message)))))
	}
	running := HaveField("Running", Not(BeNil()))
	unready := func(names string) OmegaMatcher {
		return ContainElement(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
			"Type":    Equal(corev1.PodReady),
			"Status":  Equal(corev1.ConditionFalse),
			"Reason":  Equal("ContainersNotReady"),
			"Message": Equal("containers with unready status: [" + names + "]"),
		}))
	}

	It("are not pulled when they are missing", func(ctx SpecContext) {
		pod := newPod(newNamespace(ctx, nil), "missing.invalid/shop:1", "registry.example/sidecar:1")
		Expect(admin.Create(ctx, pod)).To(Succeed())
		Eventually(state(ctx, pod)).WithContext(ctx).Should(HaveExactElements(
			waiting("ErrImagePull", "missing.invalid/shop:1"), running))
		Eventually(state(ctx, pod)).WithContext(ctx).Should(HaveExactElements(
			waiting("ImagePullBackOff", `Back-off pulling image "missing.invalid/shop:1"`), running))
		Expect(pod.Status.Phase).To(Equal(corev1.PodPending))
		Expect(pod.Status.Conditions).To(unready("c0"))
	}, SpecTimeout(specTimeout))

	It("crash in a loop when they are crashing", func(ctx SpecContext) {
		pod := newPod(newNamespace(ctx, nil), "crashing.invalid/shop:1")
		Expect(admin.Create(ctx, pod)).To(Succeed())
		Eventually(state(ctx, pod)).WithContext(ctx).Should(HaveExactElements(
			waiting("CrashLoopBackOff", "back-off 10s restarting failed container=c0 pod="+pod.Name)))
		Expect(pod.Status.Phase).To(Equal(corev1.PodRunning))
		Expect(pod.Status.ContainerStatuses[0].RestartCount).To(BeNumerically(">", 0))
		Expect(pod.Status.ContainerStatuses[0].LastTerminationState.Terminated).To(HaveField("ExitCode", int32(1)))
		Expect(pod.Status.Conditions).To(unready("c0"))
	}, SpecTimeout(specTimeout))
})

var _ = Describe("Clients", func() {
	It("have kubectl", func(ctx SpecContext) {
		Expect(controlPlane.Kubectl(ctx, "get", "nodes", "-o", "name")).To(HavePrefix("node/node-1\n"))
		_, err := controlPlane.Kubectl(ctx, "get", "node", "absent")
		Expect(err).To(MatchError(And(ContainSubstring("kubectl get node absent"), ContainSubstring(`"absent" not found`))))
	}, SpecTimeout(specTimeout))

	It("can be a ServiceAccount, whose requests are audited", func(ctx SpecContext) {
		meta := metav1.ObjectMeta{Namespace: "default", Name: auditedAccount}
		Expect(admin.Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta})).To(Succeed())
		Expect(admin.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}},
		}})).To(Succeed())
		Expect(admin.Create(ctx, &rbacv1.RoleBinding{
			ObjectMeta: meta,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: meta.Namespace, Name: meta.Name}},
		})).To(Succeed())

		kubeconfig := filepath.Join(GinkgoT().TempDir(), "kubeconfig")
		Expect(controlPlane.ServiceAccountKubeconfig(ctx, meta.Namespace, meta.Name, kubeconfig)).To(Succeed())
		config, err := loadConfig(kubeconfig)
		Expect(err).NotTo(HaveOccurred())
		account, err := client.New(config, client.Options{Scheme: admin.Scheme(), Mapper: admin.RESTMapper()})
		Expect(err).NotTo(HaveOccurred())
		root := client.ObjectKey{Namespace: "default", Name: "kube-root-ca.crt"}
		Eventually(ctx, account.Get).WithArguments(ctx, root, &corev1.ConfigMap{}).Should(Succeed())
		Expect(account.Get(ctx, client.ObjectKey{Namespace: "default", Name: "secret"}, &corev1.Secret{})).
			To(MatchError(apierrors.IsForbidden, "forbidden"))

		Expect(auditedRequests(controlPlane.AuditLogPath())).To(And(
			HaveEach(HavePrefix("system:serviceaccount:default:audited ")),
			ContainElement("system:serviceaccount:default:audited get configmaps 200"),
			ContainElement("system:serviceaccount:default:audited get secrets 403"),
		))
	}, SpecTimeout(specTimeout))
})

func auditedRequests(path string) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var requests []string
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var event struct {
			User           struct{ Username string }
			Verb           string
			ObjectRef      struct{ Resource string }
			ResponseStatus struct{ Code json.Number }
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, err
		}
		requests = append(requests, strings.Join([]string{
			event.User.Username, event.Verb, event.ObjectRef.Resource, event.ResponseStatus.Code.String(),
		}, " "))
	}
	return requests, lines.Err()
}

var _ = Describe("Starting and stopping", func() {
	var dir string

	BeforeEach(func() { dir = filepath.Join(GinkgoT().TempDir(), "cluster") })

	It("refuses to replace a control plane that runs", func(ctx SpecContext) {
		_, err := Start(ctx, Options{Bin: bin, Dir: controlPlane.layout.dir})
		Expect(err).To(MatchError(ContainSubstring("a control plane already runs in " + controlPlane.layout.dir)))
		Expect(controlPlane.Alive()).To(BeTrue())
	}, SpecTimeout(specTimeout))

	It("says which part did not come up, with its log, and leaves nothing behind", func(ctx SpecContext) {
		_, err := Start(ctx, Options{
			Bin: bin, Dir: dir, extraArgs: map[string][]string{scheduler: {"--no-such-flag"}},
		})
		log := filepath.Join(dir, "logs", "kube-scheduler.log")
		Expect(err).To(MatchError(And(
			HavePrefix("kube-scheduler ended before it was ready (exit status 1); its log "+log+" ends with:\n"),
			ContainSubstring("unknown flag: --no-such-flag"),
		)))
		Expect(processesOf(dir)).To(BeEmpty())
		_, err = Load(dir)
		Expect(err).To(MatchError(fs.ErrNotExist))
	}, SpecTimeout(specTimeout))

	It("goes on without its starter when detached, and ends by Stop", func(ctx SpecContext) {
		starter := exec.CommandContext(ctx, os.Args[0])
		starter.Env = append(os.Environ(), starterEnv+"="+dir)
		output, err := starter.CombinedOutput()
		DeferCleanup(Stop, dir)
		Expect(err).NotTo(HaveOccurred(), string(output))

		found, err := Load(dir)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.Alive()).To(BeTrue())
		Expect(found.Kubectl(ctx, "get", "nodes", "-o", "name")).To(Equal("node/node-1\n"))
		Expect(processesOf(dir)).To(HaveLen(len(startOrder)-1), "all but the relay, which is for real nodes")

		Expect(found.Stop()).To(Succeed())
		Expect(found.Alive()).To(BeFalse())
		Expect(processesOf(dir)).To(BeEmpty())
		Expect(found.Stop()).To(Succeed())
		Expect(Stop(dir)).To(Succeed())
	}, SpecTimeout(specTimeout))
})

// processesOf returns the command lines of what runs from the folder of a control plane.
func processesOf(dir string) ([]string, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, process := range all {
		// A process that ended meanwhile has no command line.
		if args, err := process.CmdLine(); err == nil && len(args) > 0 && strings.HasPrefix(args[0], dir) {
			lines = append(lines, strings.Join(args, " "))
		}
	}
	return lines, nil
}
