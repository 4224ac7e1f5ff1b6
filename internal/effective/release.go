package effective

import "github.com/tenantry/tenantry/api/v1alpha1"

// At returns the tenant with the app and config of another release of its. The numbers of replicas, and what
// sets them, stay, since they are no part of a release.
func (t *Tenant) At(app *v1alpha1.TenantApp, config map[string]string) *Tenant {
	other := *t
	other.Spec.App, other.Spec.Config = app.DeepCopy(), config
	other.Spec.App.Replicas, other.Spec.App.Autoscaling = t.Spec.App.Replicas, t.Spec.App.Autoscaling
	for _, worker := range t.Spec.App.Workers {
		for i := range other.Spec.App.Workers {
			if other.Spec.App.Workers[i].Name == worker.Name {
				other.Spec.App.Workers[i].Replicas, other.Spec.App.Workers[i].Autoscaling = worker.Replicas, worker.Autoscaling
			}
		}
	}
	completeApp(other.Spec.App)
	return &other
}
