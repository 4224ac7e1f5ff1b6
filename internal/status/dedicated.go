package status

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/workload"
)

// Dedicated is the state of a server that the operator runs itself; empty for others.
type Dedicated struct {
	// Provisioner is what runs it.
	Provisioner v1alpha1.DatabaseServerProvisioner
	// Storage is the size of each of its volumes; nil if it has none.
	Storage *resource.Quantity
	// Unmet is what the spec asks for and the server, which runs all the same, can't have; nil if nothing.
	Unmet *problem.Problem
}

// dedicatedField is the field of a Tenant that its own server is made by.
const dedicatedField = "spec.database.dedicated"

// OfStatefulSet says what a server of one pod waits for; nil if it runs.
func OfStatefulSet(set *appsv1.StatefulSet, pods []corev1.Pod, now time.Time) *problem.Problem {
	if set.Status.ReadyReplicas > 0 {
		return nil
	}
	if trouble, found := workload.Trouble(pods, dedicatedField, now); found {
		return &trouble
	}
	if len(pods) == 0 {
		return startingf("it has no pod yet; \"kubectl describe statefulset --namespace %s %s\" says why if that lasts", set.Namespace, set.Name)
	}
	return startingf("its pod is not ready yet")
}

// OfCluster says what a server waits for that CloudNativePG runs; nil if it runs.
func OfCluster(cluster *unstructured.Unstructured, pods []corev1.Pod, now time.Time) *problem.Problem {
	ready, _, _ := unstructured.NestedInt64(cluster.Object, "status", "readyInstances")
	if ready > 0 {
		return nil
	}
	if trouble, found := workload.Trouble(pods, dedicatedField, now); found {
		return &trouble
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
