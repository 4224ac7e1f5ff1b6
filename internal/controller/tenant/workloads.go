package tenant

import (
	"context"
	"errors"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/internal/workload"
)

// observeApp reads the state of what runs in the tenant's primary namespace.
func (r *Reconciler) observeApp(ctx context.Context, tenant *effective.Tenant, o *status.Observation) error {
	if tenant.Spec.App == nil {
		return nil
	}
	if err := r.readApp(ctx, tenant, &o.Observation); err != nil {
		return err
	}
	_, troubled := parts.AppTrouble(o.Observation)
	begun := status.TroubleBegun(tenant.Status.Conditions, v1alpha1.ConditionAppReady, o.Now)
	o.TroubledSince = r.Fleet.Troubles.Tenant(tenant.UID, troubled, begun)
	return nil
}

// readApp reads the objects of an app.
func (r *Reconciler) readApp(ctx context.Context, tenant *effective.Tenant, o *parts.Observation) error {
	var err error
	if o.Deployment, err = owned(ctx, r, tenant, naming.App, &appsv1.Deployment{}); err != nil {
		return err
	}
	if err := errors.Join(r.readAutoscalers(ctx, tenant, o), r.readWaysIn(ctx, tenant, o)); err != nil {
		return err
	}
	o.Workers = map[string]*appsv1.Deployment{}
	for _, worker := range tenant.Spec.App.Workers {
		name := string(worker.Name)
		if o.Workers[name], err = owned(ctx, r, tenant, name, &appsv1.Deployment{}); err != nil {
			return err
		}
	}
	if len(tenant.Spec.App.Schedules) > 0 || o.Release.Held() {
		if err := r.observeJobs(ctx, tenant, o); err != nil {
			return err
		}
	}
	o.Pods, err = podsOf(ctx, r, tenant)
	return err
}

// readAutoscalers reads the autoscalers that the spec asks for.
func (r *Reconciler) readAutoscalers(ctx context.Context, tenant *effective.Tenant, o *parts.Observation) error {
	o.Autoscalers = map[string]*autoscalingv2.HorizontalPodAutoscaler{}
	for _, name := range parts.Autoscaled(tenant.Spec.App) {
		var err error
		if o.Autoscalers[name], err = owned(ctx, r, tenant, name, &autoscalingv2.HorizontalPodAutoscaler{}); err != nil {
			return err
		}
	}
	return nil
}

// readWaysIn reads what exposes the app.
func (r *Reconciler) readWaysIn(ctx context.Context, tenant *effective.Tenant, o *parts.Observation) (err error) {
	if o.Ingress, err = owned(ctx, r, tenant, naming.App, &networkingv1.Ingress{}); err != nil || !o.Entrance.GatewayAPI {
		return err
	}
	o.Route, err = owned(ctx, r, tenant, naming.App, &gatewayv1.HTTPRoute{})
	return err
}

// owned reads an object of the tenant's primary namespace; nil if there is none, or if it isn't the tenant's.
func owned[T client.Object](ctx context.Context, r *Reconciler, tenant *effective.Tenant, name string, into T) (T, error) {
	var none T
	found, err := r.read(ctx, types.NamespacedName{Namespace: tenant.Name, Name: name}, into)
	if err != nil || !found || !metav1.IsControlledBy(into, tenant) {
		return none, err
	}
	return into, nil
}

// podsOf returns the pods of the tenant's app, its workers and its Jobs.
func podsOf(ctx context.Context, reader client.Reader, tenant *effective.Tenant) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := reader.List(ctx, pods, client.InNamespace(tenant.Name), client.MatchingLabels{naming.LabelTenant: tenant.Name})
	return pods.Items, err
}

// observeJobs reads the state of the app's schedules and its migration.
func (r *Reconciler) observeJobs(ctx context.Context, tenant *effective.Tenant, o *parts.Observation) error {
	o.CronJobs = map[string]*batchv1.CronJob{}
	for _, schedule := range tenant.Spec.App.Schedules {
		var err error
		name := string(schedule.Name)
		if o.CronJobs[name], err = owned(ctx, r, tenant, name, &batchv1.CronJob{}); err != nil {
			return err
		}
	}
	jobs := &batchv1.JobList{}
	if err := r.List(ctx, jobs, client.InNamespace(tenant.Name)); err != nil {
		return err
	}
	o.Jobs = jobs.Items
	events := &corev1.EventList{}
	if err := r.List(ctx, events, client.InNamespace(tenant.Name)); err != nil {
		return err
	}
	o.Refusals = map[types.UID]parts.Refusal{}
	for i := range events.Items {
		told := &events.Items[i]
		if last := lastSeen(told); told.Message != "" && last.After(o.Refusals[told.InvolvedObject.UID].At) {
			o.Refusals[told.InvolvedObject.UID] = parts.Refusal{Message: refusalIn(told), At: last}
		}
	}
	return nil
}

// refusalIn returns what the API server has said according to an Event.
func refusalIn(told *corev1.Event) string {
	return strings.TrimPrefix(strings.TrimPrefix(told.Message, "Error creating: "), "Error creating job: ")
}

// aboutJobs reports whether an Event is about a Job or CronJob. Neither says in its status that the API server refuses
// what it asks for.
func aboutJobs(told *corev1.Event) bool {
	return told.InvolvedObject.Kind == "Job" || told.InvolvedObject.Kind == "CronJob"
}

// jobRefusalReported lets Events through that report what the API server refuses to a Job or CronJob.
var jobRefusalReported = predicate.Funcs{
	CreateFunc: func(e event.CreateEvent) bool { return aboutJobs(e.Object.(*corev1.Event)) },
	UpdateFunc: func(e event.UpdateEvent) bool {
		return e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion() && aboutJobs(e.ObjectNew.(*corev1.Event))
	},
	DeleteFunc: func(e event.DeleteEvent) bool { return aboutJobs(e.Object.(*corev1.Event)) },
}

// byJob returns the tenant whose app has the Job or CronJob that an Event is about.
func (r *Reconciler) byJob(ctx context.Context, object client.Object) []reconcile.Request {
	about := object.(*corev1.Event).InvolvedObject
	var of client.Object = &batchv1.Job{}
	if about.Kind == "CronJob" {
		of = &batchv1.CronJob{}
	}
	found, err := r.read(ctx, types.NamespacedName{Namespace: object.GetNamespace(), Name: about.Name}, of)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't read what an Event is about", "namespace", object.GetNamespace(), "kind", about.Kind)
	}
	if !found {
		return nil
	}
	return byOwners(ctx, of)
}

// jobSigns returns what of a Job's status shows in the tenant's.
func jobSigns(job *batchv1.Job) [3]bool {
	finish, finished := workload.FinishOf(job)
	return [3]bool{finished, finish.Failed, job.Status.Active > 0}
}
