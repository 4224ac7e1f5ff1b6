package network

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mattfenwick/cyclonus/pkg/matcher"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/test/matrix"
)

// judge knows all pods of a cluster, and addresses outside of it, and decides from the cluster's NetworkPolicies
// who can reach whom.
type judge struct {
	policies []*networkingv1.NetworkPolicy
	// places has pods by namespace/container, and addresses by their own names.
	places map[string]place
	// ports has port numbers that are known only once the servers run, by their names in the matrix.
	ports map[string]int32
}

// place is where a connection starts or ends.
type place struct {
	peer matcher.TrafficPeer
	// portNames has the names of a pod's ports.
	portNames map[int32]string
}

// newJudge reads the cluster. It identifies pods by their namespace and their first container.
func newJudge(ctx context.Context, cluster client.Reader) (*judge, error) {
	namespaces, pods, policies := &corev1.NamespaceList{}, &corev1.PodList{}, &networkingv1.NetworkPolicyList{}
	for _, list := range []client.ObjectList{namespaces, pods, policies} {
		if err := cluster.List(ctx, list); err != nil {
			return nil, err
		}
	}
	j := &judge{places: map[string]place{}, ports: map[string]int32{}}
	for i := range policies.Items {
		j.policies = append(j.policies, &policies.Items[i])
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Spec.NodeName == "" {
			continue // It runs nowhere.
		}
		home := slices.IndexFunc(namespaces.Items, func(namespace corev1.Namespace) bool { return namespace.Name == pod.Namespace })
		if home < 0 || pod.Status.PodIP == "" {
			return nil, fmt.Errorf("pod %s/%s has no namespace or no address", pod.Namespace, pod.Name)
		}
		j.places[pod.Namespace+"/"+pod.Spec.Containers[0].Name] = place{
			peer: matcher.TrafficPeer{IP: pod.Status.PodIP, Internal: &matcher.InternalPeer{
				Namespace: pod.Namespace, NamespaceLabels: namespaces.Items[home].Labels, PodLabels: pod.Labels,
			}},
			portNames: portNames(pod),
		}
	}
	return j, nil
}

func portNames(pod *corev1.Pod) map[int32]string {
	names := map[int32]string{}
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			names[port.ContainerPort] = port.Name
		}
	}
	return names
}

// addAddress adds an address outside of the cluster's pod network, with a name.
func (j *judge) addAddress(name, ip string) {
	j.places[name] = place{peer: matcher.TrafficPeer{IP: ip}}
}

// without returns the judge of a cluster that lacks one of the policies.
func (j *judge) without(policy *networkingv1.NetworkPolicy) *judge {
	others := slices.DeleteFunc(slices.Clone(j.policies), func(other *networkingv1.NetworkPolicy) bool { return other == policy })
	return &judge{policies: others, places: j.places, ports: j.ports}
}

// verdict judges a connection from a place to place:port/protocol, and explains its verdict with the policies that
// it found.
func (j *judge) verdict(from, to string) (found matrix.Verdict, explanation string, err error) {
	source, known := j.places[from]
	if !known {
		return "", "", fmt.Errorf("there is no place %q", from)
	}
	traffic := &matcher.Traffic{Source: &source.peer}
	if err := j.destination(to, traffic); err != nil {
		return "", "", err
	}
	result := matcher.BuildNetworkPolicies(false, j.policies).IsTrafficAllowed(traffic)
	explanation = traffic.Table() + result.Table()
	if result.IsAllowed() {
		return matrix.Allowed, explanation, nil
	}
	return matrix.Refused, explanation, nil
}

func (j *judge) destination(to string, traffic *matcher.Traffic) error {
	slash := strings.LastIndexByte(to, '/')
	name, port, found := strings.Cut(to[:max(0, slash)], ":")
	if !found {
		return fmt.Errorf("%q is not of the form place:port/protocol", to)
	}
	destination, known := j.places[name]
	if !known {
		return fmt.Errorf("there is no place %q", name)
	}
	number, known := j.ports[port]
	if !known {
		parsed, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return fmt.Errorf("there is no port %q: %w", port, err)
		}
		number = int32(parsed)
	}
	traffic.Destination = &destination.peer
	traffic.Protocol = corev1.Protocol(to[slash+1:])
	traffic.ResolvedPort = int(number)
	traffic.ResolvedPortName = destination.portNames[number]
	return nil
}
