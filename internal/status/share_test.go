package status_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/status"
	"github.com/tenantry/tenantry/test/builders"
)

func TestAnAppThatFitsTheQuotaAndNotItsNamespacesPartWaits(t *testing.T) {
	const refusal = `pods "app-7c9d8b6f5-x2v4k" is forbidden: exceeded quota: tenant, requested: requests.cpu=5, used: requests.cpu=0, limited: requests.cpu=4`
	cpu := func(amount string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceRequestsCPU: resource.MustParse(amount)}
	}
	for _, test := range []struct {
		name         string
		namespaces   int
		total, slice string // what is used in all, and in the primary namespace
		want         string
	}{
		{"it fits", 2, "3", "0", "False Progressing"},
		{"it does not fit", 2, "4", "0", "False QuotaExceeded"},
		{"it has got in, and the Deployment doesn't say so yet", 2, "8", "5", "False Progressing"},
		{"there is no other namespace", 1, "3", "0", "False QuotaExceeded"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := inPlace(t, builders.Tenant("acme").App(image).Quota(corev1.ResourceRequestsCPU, "8"))
			o.Deployment = builders.Deployment("acme", "app", 1).Condition(appsv1.DeploymentReplicaFailure, corev1.ConditionTrue, "FailedCreate", refusal).Build()
			o.Namespaces = make([]v1alpha1.TenantNamespace, test.namespaces)
			o.Quota.Status.Used, o.Slice = cpu(test.total), cpu(test.slice)
			if got := conditions(status.Of(o).Conditions)["AppReady"]; got != test.want {
				t.Errorf("AppReady is %q, want %q", got, test.want)
			}
		})
	}
}
