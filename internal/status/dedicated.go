package status

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/workload"
)

// Dedicated is how a server is that the operator runs itself; empty for others.
type Dedicated struct {
	// Provisioner is what runs it.
	Provisioner v1alpha1.DatabaseServerProvisioner
	// Storage is the size of each of its volumes; nil as long as it has none.
	Storage *resource.Quantity
	// Unmet is what its spec asks for and it can't have, while it runs all the same; nil if nothing.
	Unmet *problem.Problem
}

// OfStatefulSet says what a server of one pod waits for; nil if it runs.
func OfStatefulSet(set *appsv1.StatefulSet, pods []corev1.Pod) *problem.Problem {
	if set.Status.ReadyReplicas > 0 {
		return nil
	}
	if trouble, found := workload.NewestTrouble(pods); found {
		return &trouble
	}
	if len(pods) == 0 {
		return startingf("it has no pod yet; \"kubectl describe statefulset --namespace %s %s\" says why if that lasts", set.Namespace, set.Name)
	}
	return startingf("its pod is not ready yet")
}

// OfCluster says what a server waits for that CloudNativePG runs; nil if it runs.
func OfCluster(cluster *unstructured.Unstructured) *problem.Problem {
	ready, _, _ := unstructured.NestedInt64(cluster.Object, "status", "readyInstances")
	if ready > 0 {
		return nil
	}
	phase, _, _ := unstructured.NestedString(cluster.Object, "status", "phase")
	reason, _, _ := unstructured.NestedString(cluster.Object, "status", "phaseReason")
	switch {
	case phase == "":
		return startingf("CloudNativePG has not looked at it yet")
	case reason == "":
		return startingf("CloudNativePG says %q", phase)
	default:
		return startingf("CloudNativePG says %q: %s", phase, reason)
	}
}

func startingf(format string, args ...any) *problem.Problem {
	return new(problem.Starting(fmt.Sprintf(format, args...)))
}
