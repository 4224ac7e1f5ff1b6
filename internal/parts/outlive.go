package parts

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/workload"
)

// programs returns all that the app runs.
func programs(tenant *effective.Tenant) []program {
	all := []program{web(tenant)}
	for _, worker := range tenant.Spec.App.Workers {
		all = append(all, working(tenant.Name, worker))
	}
	for _, schedule := range tenant.Spec.App.Schedules {
		all = append(all, scheduled(tenant.Name, schedule))
	}
	if tenant.Spec.App.Migration != nil {
		all = append(all, migrating(tenant))
	}
	return all
}

// Outlive reports whether any of the tenant's pods go on that were started with other settings than the current ones.
// Such pods may have a former login.
func Outlive(in Inputs, pods []corev1.Pod) bool {
	type key struct{ component, name string }
	of := func(labels map[string]string) key {
		return key{labels[naming.LabelAppComponent], labels[naming.LabelAppName]}
	}
	current := map[key]string{}
	if in.Tenant.Spec.App != nil && connected(in) {
		for _, each := range programs(in.Tenant) {
			current[of(each.labels)] = settingsRevision(in, each)
		}
	}
	if next := in; in.Release.Held() && connected(in) {
		next.Tenant = in.Release.Next
		current[of(migrating(next.Tenant).labels)] = settingsRevision(next, migrating(next.Tenant))
	}
	return slices.ContainsFunc(pods, func(pod corev1.Pod) bool {
		settings, ours := pod.Annotations[naming.AnnotationSettings]
		return ours && !workload.Ended(&pod) && settings != current[of(pod.Labels)]
	})
}
