package parts

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// Scale is how many replicas a live Deployment of the app or a worker has. The zero value is that of none.
type Scale struct {
	// Held says that it still has none since the tenant was to sleep.
	Held bool
	// Awake is how many it has, or had before the tenant was to sleep.
	Awake int32
}

// ScaleOf returns how many replicas a Deployment has.
func ScaleOf(deployment *appsv1.Deployment) Scale {
	if IsHeld(deployment) {
		return Scale{Held: true, Awake: Awake(deployment)}
	}
	return Scale{Awake: ptr.Deref(deployment.Spec.Replicas, 0)}
}

// Awake returns how many replicas a Deployment is to have again when its tenant wakes, according to its annotation; 0 if
// that doesn't say.
func Awake(deployment *appsv1.Deployment) int32 {
	number, err := strconv.ParseInt(deployment.Annotations[naming.AnnotationAwakeReplicas], 10, 32)
	if err != nil || number < 0 {
		return 0
	}
	return int32(number)
}

// IsHeld reports whether a Deployment has no replicas since its tenant is to sleep.
func IsHeld(deployment *appsv1.Deployment) bool {
	_, held := deployment.Annotations[naming.AnnotationAwakeReplicas]
	return held
}

// Waking reports whether the app still has no replicas since the tenant was to sleep.
func (in Inputs) Waking() bool { return in.Scales[naming.App].Held }

// replicas is what a spec says about the replicas of the app or a worker: how many there are, or what chooses that.
type replicas struct {
	name        string
	number      *int32
	autoscaling *v1alpha1.Autoscaling
}

// Scaled returns the names of the Deployments of an app, its own first and then those of its workers.
func Scaled(app *v1alpha1.TenantApp) (names []string) {
	for _, of := range allReplicas(app) {
		names = append(names, of.name)
	}
	return names
}

// Autoscaled returns the names of those of which the spec has an autoscaler choose how many replicas they have.
func Autoscaled(app *v1alpha1.TenantApp) (names []string) {
	for _, of := range allReplicas(app) {
		if of.autoscaling != nil {
			names = append(names, of.name)
		}
	}
	return names
}

// allReplicas returns what a spec says about the replicas of the app, and then of its workers.
func allReplicas(app *v1alpha1.TenantApp) []replicas {
	all := []replicas{appReplicas(app)}
	for _, worker := range app.Workers {
		all = append(all, workerReplicas(worker))
	}
	return all
}

func appReplicas(app *v1alpha1.TenantApp) replicas {
	return replicas{naming.App, app.Replicas, app.Autoscaling}
}

func workerReplicas(worker v1alpha1.AppWorker) replicas {
	return replicas{string(worker.Name), worker.Replicas, worker.Autoscaling}
}

// autoscaled reports whether an autoscaler sets the number, be it the operator's or an owner's.
func (in Inputs) autoscaled(of replicas) bool {
	return of.autoscaling != nil || in.Autoscaled.Has(of.name)
}

// setReplicas sets how many replicas the Deployment of the app or a worker has, unless an autoscaler does. While the
// tenant is to sleep, it has none, and an annotation says how many there were before. An autoscaler goes on from there
// when the tenant wakes.
func (in Inputs) setReplicas(of replicas, deployment *appsv1.Deployment) {
	scale := in.Scales[of.name]
	switch {
	case in.Asleep:
		awake := scale.Awake
		if !in.autoscaled(of) {
			awake = *of.number
		}
		deployment.Annotations = map[string]string{naming.AnnotationAwakeReplicas: strconv.Itoa(int(awake))}
		deployment.Spec.Replicas = new(int32(0))
	case !in.autoscaled(of):
		deployment.Spec.Replicas = of.number
	case scale.Held:
		// An autoscaler leaves a Deployment without replicas alone, unless it has scaled it to zero itself.
		deployment.Spec.Replicas = new(max(1, scale.Awake))
	}
}
