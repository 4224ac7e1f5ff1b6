package cluster

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/tenantry/tenantry/hack/fabric"
)

// The parts of a control plane and the client that comes with it, by the names of their programs.
const (
	etcd              = "etcd"
	apiServer         = "kube-apiserver"
	controllerManager = "kube-controller-manager"
	scheduler         = "kube-scheduler"
	kwok              = "kwok"
	kubectl           = "kubectl"
	// relay connects this machine to a control plane that runs in a network of its own, for real nodes.
	relay = "relay"
)

var startOrder = []string{relay, etcd, apiServer, controllerManager, scheduler, kwok}

const (
	loopback  = "127.0.0.1"
	serviceIP = "10.96.0.1"
	// fakePods are the addresses of pods on fake nodes, and none of those on real ones.
	fakePods = "10.244.128.0/17"

	// High enough that no test or benchmark ever waits for the clients of controllers and scheduler.
	clientQPS   = 500
	clientBurst = 1000
	syncs       = 20

	// nodeLeaseSeconds is long enough that the node lifecycle controller doesn't consider nodes lost.
	nodeLeaseSeconds = 40
	// auditLogMegabytes is so large that the audit log is never rotated.
	auditLogMegabytes = 10 << 10
)

// etcd keeps its data without fsync: it lives no longer than this machine is up.
func (s *starter) etcd() part {
	url := "http://" + loopbackPort(s.ports.etcd)
	// A single member never calls a peer, so the kernel may choose the port.
	peer := "http://" + loopbackPort(0)
	return part{
		name: etcd,
		args: []string{
			flag("data-dir", s.layout.etcdData()),
			flag("listen-client-urls", url),
			flag("advertise-client-urls", url),
			flag("listen-peer-urls", peer),
			flag("initial-advertise-peer-urls", peer),
			flag("initial-cluster", "default="+peer),
			flag("unsafe-no-fsync", true),
			flag("log-level", "warn"),
		},
		ready: httpReady(url + "/readyz"),
	}
}

// relay listens on the ports of the other parts, outside of their network. It comes to these last: it ends if another
// one is in use, so that they tell when it listens on all.
func (s *starter) relay() part {
	var args, listening []string
	add := func(port int, address string) {
		args = append(args, loopbackPort(port)+"="+address)
		listening = append(listening, loopbackPort(port))
	}
	for _, port := range slices.Sorted(maps.Keys(s.options.NodePorts)) {
		add(port, net.JoinHostPort(fabric.NodeAddress(1), strconv.Itoa(s.options.NodePorts[port])))
	}
	for _, port := range slices.Concat(s.options.Exposed, []int{s.ports.etcd, s.ports.apiServer, s.ports.scheduler}) {
		add(port, loopbackPort(port))
	}
	return part{
		name:    relay,
		args:    append([]string{flag("namespace", s.network.Namespace())}, args...),
		ready:   func(ctx context.Context) error { return accepting(ctx, listening) },
		outside: true,
	}
}

// accepting returns nil once each of the addresses takes connections.
func accepting(ctx context.Context, addresses []string) error {
	for _, address := range addresses {
		connection, err := (&net.Dialer{Timeout: probeTimeout}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		if err := connection.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (s *starter) apiServer() part {
	args := []string{
		flag("etcd-servers", "http://"+loopbackPort(s.ports.etcd)),
		flag("secure-port", s.ports.apiServer),
		flag("service-cluster-ip-range", fabric.ServiceRange),
		flag("tls-cert-file", s.layout.config(serverCertFile)),
		flag("tls-private-key-file", s.layout.config(serverKeyFile)),
		flag("client-ca-file", s.layout.config(authorityFile)),
		flag("service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
		flag("service-account-key-file", s.layout.config(tokenKeyFile)),
		flag("service-account-signing-key-file", s.layout.config(tokenKeyFile)),
		flag("authorization-mode", "Node,RBAC"),
		flag("allow-privileged", true),
		flag("profiling", false),
	}
	if s.network == nil {
		// The loopback address can't be an endpoint of the Service "kubernetes".
		args = append(args, flag("bind-address", loopback), flag("advertise-address", loopback), flag("endpoint-reconciler-type", "none"))
	} else {
		args = append(args, flag("bind-address", "0.0.0.0"), flag("advertise-address", fabric.Address),
			flag("kubelet-client-certificate", s.layout.config(kubeletClientCertFile)),
			flag("kubelet-client-key", s.layout.config(kubeletClientKeyFile)),
			flag("kubelet-preferred-address-types", "InternalIP"))
	}
	if len(s.options.AuditUsers) > 0 {
		args = append(args,
			flag("audit-policy-file", s.layout.config(auditPolicyFile)),
			flag("audit-log-path", s.layout.auditLog()),
			flag("audit-log-maxsize", auditLogMegabytes),
		)
	}
	args = append(args, s.options.APIServerArgs...)
	return part{name: apiServer, args: args, ready: s.readiness.apiServer}
}

func (s *starter) controllerManager() part {
	args := []string{
		flag("kubeconfig", s.layout.partKubeconfig(controllerManager)),
		flag("secure-port", 0),
		flag("leader-elect", false),
		flag("use-service-account-credentials", true),
		flag("service-account-private-key-file", s.layout.config(tokenKeyFile)),
		flag("root-ca-file", s.layout.config(authorityFile)),
		flag("kube-api-qps", clientQPS),
		flag("kube-api-burst", clientBurst),
	}
	for _, controller := range []string{
		"deployment", "replicaset", "namespace", "resource-quota", "serviceaccount-token", "service-endpoint",
	} {
		args = append(args, flag("concurrent-"+controller+"-syncs", syncs))
	}
	args = append(args, s.options.ControllerManagerArgs...)
	return part{name: controllerManager, args: args, ready: s.readiness.controllers}
}

func (s *starter) scheduler() part {
	return part{
		name: scheduler,
		args: []string{
			flag("kubeconfig", s.layout.partKubeconfig(scheduler)),
			flag("bind-address", loopback),
			flag("secure-port", s.ports.scheduler),
			flag("tls-cert-file", s.layout.config(serverCertFile)),
			flag("tls-private-key-file", s.layout.config(serverKeyFile)),
			flag("leader-elect", false),
			flag("kube-api-qps", clientQPS),
			flag("kube-api-burst", clientBurst),
			flag("profiling", false),
		},
		ready: s.readiness.scheduler("https://" + loopbackPort(s.ports.scheduler) + "/readyz"),
	}
}

func (s *starter) kwok() part {
	return part{
		name: kwok,
		args: []string{
			flag("kubeconfig", s.layout.partKubeconfig(kwok)),
			flag("config", s.layout.config(stagesFile)),
			flag("manage-nodes-with-annotation-selector", nodeAnnotation+"="+fakeNode),
			flag("node-lease-duration-seconds", nodeLeaseSeconds),
			flag("node-ip", loopback),
			flag("cidr", fakePods),
		},
		ready: s.readiness.fakeNodes,
	}
}

func flag(name string, value any) string { return fmt.Sprintf("--%s=%v", name, value) }

func loopbackPort(port int) string { return loopback + ":" + strconv.Itoa(port) }
