package parts

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/budget"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/workload"
)

func appInPlace(o Observation) condition.State {
	if o.Asleep && !o.awaitsFirstRelease() {
		return appAsleep(o)
	}
	app, way := appRollout(o), exposed(o)
	switch {
	case app.Status == metav1.ConditionTrue && way.Status == metav1.ConditionTrue:
		app.Message = strings.Join(slices.DeleteFunc([]string{app.Message, way.Message, keptClaims(o)}, func(said string) bool { return said == "" }), " ")
		return app
	case app.Status == metav1.ConditionTrue, way.Stalled && app.Reason == v1alpha1.ReasonProgressing:
		return way
	default:
		return app
	}
}

func appRollout(o Observation) condition.State {
	if _, missing := o.Problems[v1alpha1.ConditionDatabaseReady]; missing && o.Deployment == nil {
		return condition.Progressing("The app waits for its database.")
	}
	if trouble, found := AppTrouble(o); found {
		return condition.Of(trouble.Lasting(o.TroubledSince, o.Now))
	}
	if o.Release.Held() {
		state, _ := waitingFor(o)
		return state
	}
	if o.Deployment != nil && IsHeld(o.Deployment) {
		return condition.Progressing("The app starts once its database is open.")
	}
	all := rollouts(o)
	for _, each := range all {
		if state, done := each.progress(); !done {
			return state
		}
	}
	return withAutoscaling(o, all, running(all))
}

// AppTrouble returns what is wrong with the app, its workers, its schedules and its migration. It returns false if nothing is, or if
// rollouts only take time.
func AppTrouble(o Observation) (problem.Problem, bool) {
	var troubles []problem.Problem
	for _, each := range rollouts(o) {
		troubles = append(troubles, each.troubles(o)...)
	}
	troubles = append(troubles, scheduleTroubles(o)...)
	if o.Release.Held() {
		_, waiting := waitingFor(o)
		troubles = append(troubles, waiting...)
	}
	if len(troubles) == 0 {
		return problem.Problem{}, false
	}
	return problem.Together(troubles...), true
}

// AppSettled reports whether the Deployments of the app and its workers are rolled out. What is wrong with one that
// isn't may change with time alone.
func AppSettled(o Observation) bool {
	return !slices.ContainsFunc(rollouts(o), func(r rollout) bool { return r.deployment != nil && !workload.RolledOut(r.deployment) })
}

// rollout is the app or one of its workers, with its pods. The Deployment is nil if there is none.
type rollout struct {
	of         problem.Workload
	deployment *appsv1.Deployment
	pods       []corev1.Pod
	// autoscaling is what the spec says about its autoscaler, and autoscaler the live one; nil if there is none.
	autoscaling *v1alpha1.Autoscaling
	autoscaler  *autoscalingv2.HorizontalPodAutoscaler
}

// rollouts returns those of the app and its workers, the app first.
func rollouts(o Observation) []rollout {
	all := []rollout{{of: problem.App, deployment: o.Deployment, pods: podsOf(o, "", "")}}
	if o.Tenant.Spec.App == nil {
		return all
	}
	all[0].autoscaling, all[0].autoscaler = o.Tenant.Spec.App.Autoscaling, o.Autoscalers[naming.App]
	for _, worker := range o.Tenant.Spec.App.Workers {
		name := string(worker.Name)
		all = append(all, rollout{problem.Worker(name), o.Workers[name], podsOf(o, naming.ComponentWorker, name), worker.Autoscaling, o.Autoscalers[name]})
	}
	return all
}

// podsOf returns the live pods of a component, or those of the app if that is empty.
func podsOf(o Observation, component, name string) []corev1.Pod {
	return slices.DeleteFunc(slices.Clone(o.Pods), func(pod corev1.Pod) bool {
		return pod.Labels[naming.LabelAppComponent] != component || component != "" && pod.Labels[naming.LabelAppName] != name
	})
}

// unobserved reports whether the cluster has not seen the Deployment's spec yet.
func (r rollout) unobserved() bool {
	return r.deployment == nil || r.deployment.Status.ObservedGeneration < r.deployment.Generation
}

// progress returns how far a rollout is in which nothing is wrong, and whether it is done.
func (r rollout) progress() (state condition.State, done bool) {
	if r.unobserved() {
		return condition.Progressing("%s is being rolled out.", r.of.Subject()), false
	}
	if workload.RolledOut(r.deployment) {
		return condition.State{}, true
	}
	whose := ""
	if r.of != problem.App {
		whose = " of " + r.of.Name
	}
	want, have := r.wanted(), r.deployment.Status
	available := min(have.UpdatedReplicas, have.AvailableReplicas)
	if former := have.Replicas - want; available >= want && former > 0 {
		return condition.Progressing("%d of %d replicas%s are available, with %d more to end.", want, want, whose, former), false
	}
	return condition.Progressing("%d of %d replicas%s are available.", available, want, whose), false
}

func (r rollout) wanted() int32 { return ptr.Deref(r.deployment.Spec.Replicas, 1) }

// running returns the state of an app whose Deployments are all rolled out.
func running(all []rollout) condition.State {
	app, workers := all[0].wanted(), int32(0)
	for _, worker := range all[1:] {
		workers += worker.wanted()
	}
	switch {
	case app == 0 && len(all) > 1:
		return scaledToZero("The app has zero replicas; %d of %d of its workers are available.", workers, workers)
	case app == 0:
		return scaledToZero("The app has zero replicas.")
	case len(all) > 1:
		return condition.Ready("%d of %d replicas are available, and %d of %d of its workers.", app, app, workers, workers)
	default:
		return condition.Ready("%d of %d replicas are available.", app, app)
	}
}

func scaledToZero(format string, args ...any) condition.State {
	state := condition.Ready(format, args...)
	state.Reason = v1alpha1.ReasonScaledToZero
	return state
}

// troubles returns what is wrong with the rollout.
func (r rollout) troubles(o Observation) []problem.Problem {
	if r.unobserved() || workload.RolledOut(r.deployment) {
		return nil
	}
	var troubles []problem.Problem
	if failure := r.condition(appsv1.DeploymentReplicaFailure); failure != nil && failure.Status == corev1.ConditionTrue {
		troubles = append(troubles, refused(o, r.workload(), failure.Message))
	}
	if trouble, found := workload.Trouble(r.pods, r.of.Field, o.Now); found {
		troubles = append(troubles, trouble)
	}
	if stuck := r.condition(appsv1.DeploymentProgressing); len(troubles) == 0 && stuck != nil && stuck.Status == corev1.ConditionFalse {
		troubles = append(troubles, problem.RolloutStuck(stuck.Reason, stuck.Message))
	}
	return troubles
}

// workload returns what the rollout is of, with the field that says how many pods there may be.
func (r rollout) workload() problem.Workload {
	if r.autoscaling != nil {
		return r.of.Scaled()
	}
	return r.of
}

// refused returns the problem of a workload of which the API server refuses to create the pods.
func refused(o Observation, of problem.Workload, message string) problem.Problem {
	requested, used, overQuota := budget.ParseRefusal(message, naming.Quota)
	if overQuota && len(o.Namespaces) > 1 && o.Quota != nil {
		// A Deployment still reports a refusal for a moment after the pods were created.
		in := budget.Refusal{Requested: requested, Used: used}.In(o.Slice)
		if in || budget.Fits(requested, o.Tenant.Spec.Quota, o.Quota.Status.Used) {
			return problem.WaitsForShare()
		}
	}
	return of.PodsRefused(message)
}

func (r rollout) condition(kind appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range r.deployment.Status.Conditions {
		if r.deployment.Status.Conditions[i].Type == kind {
			return &r.deployment.Status.Conditions[i]
		}
	}
	return nil
}
