package nodes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/node"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/process"
	"github.com/tenantry/tenantry/test/builders"
	"github.com/tenantry/tenantry/test/matrix"
)

const (
	// internet is the place whose connections come from outside of the nodes.
	internet = "internet"
	// neverReady keeps a pod out of the endpoints of Services, for which others run.
	neverReady = "test.tenantry.dev/never"
	// loopbackName is the interface that has the addresses of what is outside of the pod network.
	loopbackName = "lo"
)

// site is the cluster of the matrix on real nodes.
type site struct {
	// pods and addresses are by place, and ports by their names in the matrix.
	pods      map[string]*corev1.Pod
	addresses map[string]string
	ports     map[string]int
	// program is the path of peer on this machine.
	program string
}

// newSite makes the site, and removes it at the end of the container of specs.
func newSite(ctx SpecContext) *site {
	GinkgoHelper()
	root, err := operator.Root(ctx)
	Expect(err).NotTo(HaveOccurred())
	s := &site{
		pods: map[string]*corev1.Pod{}, ports: map[string]int{"PGPORT": database.Port},
		program: filepath.Join(root, ".local", "bin", "peer"),
	}
	s.locateAddresses()
	s.listenOutside(ctx)
	setClusterDNS(ctx)
	s.createTenants(ctx)
	s.createPods(ctx)
	s.await(ctx)
	return s
}

// locateAddresses knows the places that are not pods.
func (s *site) locateAddresses() {
	GinkgoHelper()
	server, _, err := rest.DefaultServerUrlFor(kubernetes.Config())
	Expect(err).NotTo(HaveOccurred())
	s.ports["APIPORT"], err = strconv.Atoi(server.Port())
	Expect(err).NotTo(HaveOccurred())
	s.addresses = map[string]string{
		"database-host": fabric.Address, "api-server": fabric.Address, "api-service": "10.96.0.1", "node": fabric.NodeAddress(1),
	}
	for name, address := range matrix.Addresses {
		// The network of the nodes has IPv4 only.
		if net.ParseIP(address).To4() != nil {
			s.addresses[name] = address
		}
	}
}

// listenOutside has something answer at each address outside of the pod network: those that are on each machine on the
// nodes, too, and all in the network that joins them.
func (s *site) listenOutside(ctx context.Context) {
	GinkgoHelper()
	s.listenOn(ctx, kubernetes.Network(), "partner", internet, "metadata", "node-cache", "database-host")
	for _, n := range kubernetes.Nodes() {
		s.listenOn(ctx, n.Process(), "node-cache")
	}
}

// listenOn has a host answer at the addresses of places.
func (s *site) listenOn(ctx context.Context, host *process.Process, places ...string) {
	GinkgoHelper()
	command := process.Command{
		Name: "the listener of " + host.Name(), Path: s.program, Args: []string{"listen"},
		LogPath: filepath.Join(GinkgoT().TempDir(), "listener.log"), Inside: host,
	}
	if host == kubernetes.Network() {
		command.ParentDeathSignal = unix.SIGKILL // The listeners of the nodes end with these.
	}
	for _, place := range places {
		if s.addresses[place] != fabric.Address {
			assign(host, s.addresses[place])
		}
		for _, port := range s.portsOf(place) {
			if port != database.Port { // PostgreSQL itself listens there.
				command.Args = append(command.Args, net.JoinHostPort(s.addresses[place], strconv.Itoa(port)))
			}
		}
	}
	listener, err := process.Start(command)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(listener.Kill)
	ctx, cancel := context.WithTimeout(ctx, specTimeout)
	defer cancel()
	Expect(listener.WaitReady(ctx, func(context.Context) error {
		if tail, err := listener.LogTail(1); err != nil || tail != "listening" {
			return errors.Join(err, errors.New("it doesn't listen yet"))
		}
		return nil
	})).To(Succeed())
}

// assign gives a host an address of its own.
func assign(host *process.Process, address string) {
	GinkgoHelper()
	handle, err := fabric.Netlink(host)
	Expect(err).NotTo(HaveOccurred())
	defer handle.Close()
	link, err := handle.LinkByName(loopbackName)
	Expect(err).NotTo(HaveOccurred())
	Expect(handle.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(address), Mask: net.CIDRMask(32, 32)}})).To(Succeed())
}

// setClusterDNS tells the operator of all places where the cluster's DNS is in the matrix.
func setClusterDNS(ctx context.Context) {
	GinkgoHelper()
	const deployment = "deployment/tenantry-manager"
	patch := fmt.Sprintf(`[{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "--cluster-dns=%s"}]`, matrix.ClusterDNS)
	Expect(kubectl(ctx, "patch", deployment, "--namespace="+operator.Namespace, "--type=json", "--patch="+patch)).To(ContainSubstring("patched"))
	DeferCleanup(func(ctx SpecContext) {
		Expect(kubectl(ctx, "rollout", "undo", deployment, "--namespace="+operator.Namespace)).To(ContainSubstring("rolled back"))
		Expect(kubectl(ctx, "rollout", "status", deployment, "--namespace="+operator.Namespace, "--timeout=1m")).To(ContainSubstring("successfully rolled out"))
	}, NodeTimeout(specTimeout))
	for _, namespace := range matrix.Namespaces() {
		createForContainer(ctx, namespace)
	}
	createForContainer(ctx, matrix.OpenShiftDNS())
}

// createForContainer creates an object that is deleted after the container of specs.
func createForContainer(ctx context.Context, object client.Object) {
	GinkgoHelper()
	// A namespace of a tenant takes pods once the tenant's limits are in it.
	Eventually(ctx, cl.Create).WithArguments(object).Should(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(cl.Delete(ctx, object, client.GracePeriodSeconds(0)))).To(Succeed())
	}, NodeTimeout(specTimeout))
}

// createTenants registers the database again, with pods as its peers, and creates the tenants.
func (s *site) createTenants(ctx context.Context) {
	GinkgoHelper()
	server := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: shared}}
	Expect(cl.Get(ctx, client.ObjectKeyFromObject(server), server)).To(Succeed())
	inCluster := &v1alpha1.DatabaseServer{ObjectMeta: metav1.ObjectMeta{Name: "in-cluster"}, Spec: server.Spec}
	inCluster.Spec.NetworkPeers = matrix.DatabasePeers()
	Expect(cl.Create(ctx, inCluster)).To(Succeed())
	for _, tenant := range []*builders.TenantBuilder{
		matrix.Duff(inCluster.Name, peer).Command("/peer", append([]string{"listen"}, s.listening("duff/app")...)...),
		matrix.Tyrell(shared, peer).Command("/peer", append([]string{"listen"}, s.listening("tyrell/app")...)...).
			Owner(v1alpha1.OwnerKindUser, tyrellOwner, v1alpha1.OwnerRoleAdmin),
		matrix.Soylent(),
	} {
		createForContainer(ctx, tenant.Build())
	}
}

// createPods creates the pods of the matrix, one after the other on one node and on the other.
func (s *site) createPods(ctx context.Context) {
	GinkgoHelper()
	for number, pod := range matrix.Pods() {
		place := placeOf(pod)
		pod.Spec.NodeSelector = map[string]string{corev1.LabelHostname: node.Name(1 + number%2)}
		pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: neverReady}}
		pod.Spec.SecurityContext.Sysctls = []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "1"}}
		container := &pod.Spec.Containers[0]
		container.Image, container.Args = peer, append([]string{"listen"}, s.listening(place)...)
		if ports := s.portsOf(place); len(ports) > 0 {
			container.ReadinessProbe = &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(ports[0])}},
				PeriodSeconds: 1,
			}
		}
		createForContainer(ctx, pod)
	}
}

// await waits until all pods of the site run, and the tenants' policies are complete.
func (s *site) await(ctx context.Context) {
	GinkgoHelper()
	for _, name := range []string{"duff", "tyrell"} {
		Eventually(ctx, komega.Object(&v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: name}})).Should(ready())
	}
	for _, policy := range matrix.SoylentPolicies() {
		Eventually(ctx, komega.Get(policy)).Should(Succeed())
	}
	for _, policy := range matrix.DNSPolicies() {
		Eventually(ctx, komega.Object(policy)).Should(HaveField("Spec.Egress", matrix.AllowClusterDNS()))
	}
	pods := []client.ObjectKey{}
	for _, pod := range matrix.Pods() {
		pods = append(pods, client.ObjectKeyFromObject(pod))
	}
	for _, tenant := range []string{"duff", "tyrell"} {
		for _, pod := range appPods(ctx, tenant) {
			pods = append(pods, client.ObjectKeyFromObject(&pod))
		}
	}
	for _, key := range pods {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
		Eventually(ctx, komega.Object(pod)).Should(HaveField("Status.Conditions", ContainElement(And(
			HaveField("Type", corev1.ContainersReady), HaveField("Status", corev1.ConditionTrue)))), key.String())
		s.pods[placeOf(pod)], s.addresses[placeOf(pod)] = pod, pod.Status.PodIP
	}
}

// appPods returns the pods of a tenant's app, which has one.
func appPods(ctx context.Context, tenant string) []corev1.Pod {
	GinkgoHelper()
	pods := &corev1.PodList{}
	Expect(cl.List(ctx, pods, client.InNamespace(tenant))).To(Succeed())
	apps := slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return pod.Spec.Containers[0].Name != "app" })
	Expect(apps).To(HaveLen(1))
	return apps
}

// placeOf returns what the matrix calls a pod.
func placeOf(pod *corev1.Pod) string {
	place := pod.Namespace + "/" + pod.Spec.Containers[0].Name
	for short, long := range matrix.Shorthand {
		if long == place {
			return short
		}
	}
	return place
}

// portsOf returns the ports of the matrix that a place is to answer on.
func (s *site) portsOf(place string) (ports []int) {
	GinkgoHelper()
	for _, row := range matrix.Rows() {
		name, port := s.destination(row[0].To)
		if name == place && !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

// listening returns the addresses that a pod listens on.
func (s *site) listening(place string) (addresses []string) {
	for _, port := range s.portsOf(place) {
		addresses = append(addresses, fmt.Sprintf(":%d", port))
	}
	return addresses
}

// destination returns the place and the port of place:port/protocol.
func (s *site) destination(to string) (place string, port int) {
	GinkgoHelper()
	address, _, _ := strings.Cut(to[strings.LastIndexByte(to, ':')+1:], "/")
	place = to[:strings.LastIndexByte(to, ':')]
	if number, known := s.ports[address]; known {
		return place, number
	}
	port, err := strconv.Atoi(address)
	Expect(err).NotTo(HaveOccurred(), to)
	return place, port
}

// target returns the address:port/protocol of a destination of the matrix.
func (s *site) target(to string) string {
	place, port := s.destination(to)
	return fmt.Sprintf("%s:%d%s", s.addresses[place], port, to[strings.LastIndexByte(to, '/'):])
}

// probe connects from a place to all targets at the same time, and returns the outcome of each: "reached", "silent" or
// an error.
func (s *site) probe(ctx context.Context, from string, targets ...string) (map[string]string, error) {
	var output string
	if from == internet {
		args := append([]string{"--target", strconv.Itoa(kubernetes.Network().PID()), "--net", s.program, "probe", "--from=" + s.addresses[from]}, targets...)
		printed, err := exec.CommandContext(ctx, "nsenter", args...).Output()
		if err != nil {
			return nil, err
		}
		output = string(printed)
	} else {
		pod := s.pods[from]
		printed, err := kubectl(ctx, append([]string{"exec", "--namespace=" + pod.Namespace, pod.Name, "--", "/peer", "probe"}, targets...)...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		output = printed
	}
	outcomes := map[string]string{}
	for line := range strings.Lines(output) {
		target, outcome, _ := strings.Cut(strings.TrimSpace(line), " ")
		outcomes[target] = outcome
	}
	return outcomes, nil
}
