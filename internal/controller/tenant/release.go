package tenant

import (
	"context"
	"errors"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
)

// release returns a tenant with the app that it may have now, and what the app in its spec waits for. Until the migration
// of that has run, the tenant stays at the former app.
func (r *Reconciler) release(ctx context.Context, tenant *effective.Tenant) (*effective.Tenant, parts.Release, error) {
	if tenant.Spec.App == nil || !migrates(tenant) {
		return tenant, parts.Release{}, nil
	}
	known := parts.Migrating{Tenant: tenant}
	if tenant.Spec.Database != nil {
		known.Database = databaseName(tenant, r.servers().databaseOf(tenant))
	}
	jobs, pods := &batchv1.JobList{}, &corev1.PodList{}
	if err := r.List(ctx, jobs, client.InNamespace(tenant.Name)); err != nil {
		return tenant, parts.Release{}, err
	}
	for i := range jobs.Items {
		// Nobody else can make an object with this label.
		if job := &jobs.Items[i]; metav1.IsControlledBy(job, tenant) && naming.IsManaged(job.Labels) {
			known.Jobs = append(known.Jobs, *job)
		}
	}
	beside := client.MatchingLabels{naming.LabelTenant: tenant.Name, naming.LabelAppComponent: naming.ComponentMigration}
	if err := r.List(ctx, pods, client.InNamespace(tenant.Name), beside); err != nil {
		return tenant, parts.Release{}, err
	}
	known.Pods = pods.Items
	var err error
	if known.Former, err = owned(ctx, r, tenant, naming.AppRelease, &corev1.ConfigMap{}); err != nil {
		return tenant, parts.Release{}, err
	}
	if tenant.Spec.MissingForApp() != nil {
		return tenant, parts.StayAsItIs(known), nil //nolint:nilerr // Putting the app in place says what it lacks.
	}
	made, release := parts.ReleaseOf(known)
	return made, release, nil
}

// migrates reports whether a tenant's app has a migration, or had one.
func migrates(tenant *effective.Tenant) bool {
	return tenant.Spec.App.Migration != nil || tenant.Status.App != nil && tenant.Status.App.Migration != nil
}

// putApp puts the app in place, unless it lacks something or its settings can't be used, and shows it the files that have
// changed. Its migration begins when the database is in place.
func (r *Reconciler) putApp(ctx context.Context, run *pass) error {
	if err := errors.Join(parts.App.Missing(&run.tenant().Spec), run.unfit); err != nil {
		return errors.Join(err, r.objects().applyAll(ctx, run.tenant(), parts.WaysIn(run.inputs)))
	}
	_, missing := run.problems[v1alpha1.ConditionDatabaseReady]
	// What runs can only end after its first migration, before which it isn't known what it is.
	if missing || run.inputs.Asleep && (run.sleep.ended || !run.inputs.Release.Unknown) {
		run.inputs.Release.Create = false
	}
	run.holdApp(missing)
	if err := r.missRuns(ctx, run); err != nil {
		return err
	}
	if err := r.objects().runApp(ctx, run); err != nil {
		return err
	}
	return r.showFiles(ctx, run)
}
