package tenant

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
)

// awaitQuota withholds the namespaces whose quota the cluster doesn't enforce yet; for the primary one it returns
// an error. Parts that let objects into a namespace wait for that. Until the quota controller has written the
// status of a new ResourceQuota, quota admission allows everything and charges nothing; what it has allowed stays,
// and may go uncounted until the quota controller counts anew, which it does every five minutes
// (https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/resourcequota/resource_quota_controller.go).
// The quota controller's write leads to another pass.
func (r *Reconciler) awaitQuota(ctx context.Context, run *pass) error {
	var limited []string
	for _, object := range parts.Quota.Objects(run.inputs) {
		if _, isQuota := object.(*corev1.ResourceQuota); isQuota {
			limited = append(limited, object.GetNamespace())
		}
	}
	if len(limited) == 0 {
		return nil
	}
	quotas, err := r.quotas(ctx, run.tenant())
	if err != nil {
		return err
	}
	for _, namespace := range limited {
		primary := namespace == run.tenant().Name
		if counts(quotas[namespace]) || (run.withheld.Has(namespace) && !primary) {
			continue
		}
		waits := problem.WaitsForQuota(namespace)
		if !primary {
			run.withhold(parts.Quota, namespace, waits)
			continue
		}
		if _, failed := run.problems[parts.Quota.Condition]; failed {
			waits = problem.WaitsForQuotaToBeInPlace()
		}
		return waits
	}
	return nil
}

// counts reports whether the cluster has begun to enforce a quota.
func counts(quota *corev1.ResourceQuota) bool { return quota != nil && len(quota.Status.Hard) > 0 }
