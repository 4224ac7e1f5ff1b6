package status

import (
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/workload"
)

// Dedicated is the state of a dedicated server; empty for others.
type Dedicated struct {
	// Provisioner is what runs it.
	Provisioner v1alpha1.DatabaseServerProvisioner
	// Storage is the size of each of its volumes; nil if it has none.
	Storage *resource.Quantity
	// Unmet is a change in the spec that a running server can't get; nil if there is none.
	Unmet *problem.Problem
}

// dedicatedField is the field of a Tenant that describes its own server.
const dedicatedField = "spec.database.dedicated"

// OfStatefulSet returns what a server that a StatefulSet runs waits for; nil if it is running.
func OfStatefulSet(set *appsv1.StatefulSet, pods []corev1.Pod, now time.Time) *problem.Problem {
	if set.Status.ReadyReplicas > 0 {
		return nil
	}
	if trouble := troubleOf(pods, now); trouble != nil {
		return trouble
	}
	if len(pods) == 0 {
		return startingf("it has no pod yet; \"kubectl describe statefulset --namespace %s %s\" says why if that lasts", set.Namespace, set.Name)
	}
	return startingf("its pod is not ready yet")
}

// OfCluster returns what a server that CloudNativePG runs waits for; nil if it is running.
func OfCluster(cluster *unstructured.Unstructured, pods []corev1.Pod, now time.Time) *problem.Problem {
	ready, _, _ := unstructured.NestedInt64(cluster.Object, "status", "readyInstances")
	if ready > 0 {
		return nil
	}
	if trouble := troubleOf(pods, now); trouble != nil {
		return trouble
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

// troubleOf returns what is wrong with the pods of a server; nil if nothing is.
func troubleOf(pods []corev1.Pod, now time.Time) *problem.Problem {
	trouble, found := workload.Trouble(pods, dedicatedField, now)
	switch {
	case !found:
		return nil
	case strings.Contains(trouble.Message, noSpace):
		return new(problem.VolumeFull(trouble))
	default:
		return &trouble
	}
}

// noSpace is what the C library, and so PostgreSQL, says about a file system that is full.
const noSpace = "No space left on device"

func startingf(format string, args ...any) *problem.Problem {
	return new(problem.Starting(fmt.Sprintf(format, args...)))
}
