package parts_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

func TestThePolicyIsTheTenantsLessTheHostnamesOfOthers(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").Policy(func(rules *v1alpha1.PolicyRules) {
		rules.Hostnames = []v1alpha1.HostnamePattern{"shop.acme.example", "*.shared.example"}
		rules.StorageClasses = &v1alpha1.ClassRule{}
	}))
	in.ForeignHostnames = []v1alpha1.HostnamePattern{"*.shared.example"}
	policy := find[*v1alpha1.TenantPolicy](t, parts.Namespace, in)
	if policy.Spec.Tenant != "acme" || !policy.Spec.Primary {
		t.Errorf("it is of %+v", policy.Spec)
	}
	if want := []v1alpha1.HostnamePattern{"shop.acme.example"}; !slices.Equal(policy.Spec.Hostnames, want) {
		t.Errorf("its hostnames are %v, want %v", policy.Spec.Hostnames, want)
	}
	if policy.Spec.StorageClasses == nil {
		t.Error("that no StorageClass is allowed has become that all are")
	}
	if want := []corev1.ServiceType{corev1.ServiceTypeClusterIP}; !slices.Equal(policy.Spec.ServiceTypes, want) {
		t.Errorf("its types of Services are %v, want %v", policy.Spec.ServiceTypes, want)
	}
	if len(in.Tenant.Spec.Policy.Hostnames) != 2 {
		t.Errorf("the Tenant has lost hostnames; it has %v", in.Tenant.Spec.Policy.Hostnames)
	}
}

func TestANamespaceTellsWhetherThereIsATenantPolicy(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme"))
	in.Places = []parts.Place{{Name: "acme", Usable: true}, {Name: "acme-dev", Usable: true}, {Name: "acme-over"}}
	usable, policies := map[string]string{}, map[string]string{}
	for _, object := range parts.Namespace.Objects(in) {
		switch object.(type) {
		case *corev1.Namespace:
			usable[object.GetName()] = object.GetLabels()["tenantry.dev/usable"]
		case *v1alpha1.TenantPolicy:
			policies[object.GetNamespace()] = "true"
		}
	}
	if want := map[string]string{"acme": "true", "acme-dev": "true", "acme-over": "false"}; !maps.Equal(usable, want) {
		t.Errorf("the labels are %v, want %v", usable, want)
	}
	if want := map[string]string{"acme": "true", "acme-dev": "true"}; !maps.Equal(policies, want) {
		t.Errorf("there are TenantPolicies in %v, want %v", policies, want)
	}
}

func TestTheLabelsByWhichTheAPIServerTellsWhatIsInForce(t *testing.T) {
	rules := func(change func(*v1alpha1.PolicyRules)) *builders.TenantBuilder {
		return builders.Tenant("acme").Policy(change)
	}
	for _, test := range []struct {
		name   string
		tenant *builders.TenantBuilder
		audit  bool
		want   map[string]string
	}{
		{"nothing said", builders.Tenant("acme"), false, nil},
		{
			"Audit", rules(func(r *v1alpha1.PolicyRules) { r.Enforcement = v1alpha1.PolicyAudit }), false,
			map[string]string{"tenantry.dev/enforcement": "Audit"},
		},
		{"Audit in the whole cluster", builders.Tenant("acme"), true, map[string]string{"tenantry.dev/enforcement": "Audit"}},
		{"cordoned", builders.Tenant("acme").Cordoned(), false, map[string]string{"tenantry.dev/cordoned": "true"}},
		{
			"a priority class without a default",
			rules(func(r *v1alpha1.PolicyRules) { r.PriorityClasses = &v1alpha1.ClassRule{Allowed: []string{"high"}} }), false, nil,
		},
		{
			"a default priority class",
			rules(func(r *v1alpha1.PolicyRules) {
				r.PriorityClasses = &v1alpha1.ClassRule{Allowed: []string{"high"}, Default: "high"}
			}), false,
			map[string]string{"tenantry.dev/pod-defaults": "true"},
		},
		{
			"a default runtime class",
			rules(func(r *v1alpha1.PolicyRules) {
				r.RuntimeClasses = &v1alpha1.ClassRule{Allowed: []string{"gvisor"}, Default: "gvisor"}
			}), false,
			map[string]string{"tenantry.dev/pod-defaults": "true"},
		},
		{
			"default classes of Ingresses and claims",
			rules(func(r *v1alpha1.PolicyRules) {
				r.IngressClasses = &v1alpha1.ClassRule{Allowed: []string{"public"}, Default: "public"}
				r.StorageClasses = &v1alpha1.ClassRule{Allowed: []string{"fast"}, Default: "fast"}
			}), false,
			map[string]string{"tenantry.dev/ingress-defaults": "true", "tenantry.dev/persistentvolumeclaim-defaults": "true"},
		},
		{
			"one pull policy", rules(func(r *v1alpha1.PolicyRules) { r.ImagePullPolicies = []corev1.PullPolicy{corev1.PullAlways} }), false,
			map[string]string{"tenantry.dev/pod-defaults": "true"},
		},
		{
			"two pull policies",
			rules(func(r *v1alpha1.PolicyRules) {
				r.ImagePullPolicies = []corev1.PullPolicy{corev1.PullAlways, corev1.PullIfNotPresent}
			}), false, nil,
		},
		{
			"a default node selector",
			rules(func(r *v1alpha1.PolicyRules) {
				r.NodeSelector = &v1alpha1.NodeSelectorRule{Default: map[string]string{"pool": "shared"}}
			}), false,
			map[string]string{"tenantry.dev/pod-defaults": "true"},
		},
		{
			"a default toleration",
			rules(func(r *v1alpha1.PolicyRules) {
				r.Tolerations = &v1alpha1.TolerationRule{
					Allowed: []v1alpha1.AllowedToleration{{Key: "pool"}}, Default: []corev1.Toleration{{Key: "pool", Operator: corev1.TolerationOpExists}},
				}
			}), false,
			map[string]string{"tenantry.dev/pod-defaults": "true"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := inputsOf(t, test.tenant)
			in.Audit = test.audit
			labels := maps.Clone(find[*corev1.Namespace](t, parts.Namespace, in).Labels)
			enforced := labels["pod-security.kubernetes.io/enforce"]
			maps.DeleteFunc(labels, func(key, _ string) bool {
				return key == "tenantry.dev/tenant" || key == "tenantry.dev/usable" || !strings.HasPrefix(key, "tenantry.dev/")
			})
			if !maps.Equal(labels, test.want) {
				t.Errorf("they are %v, want %v", labels, test.want)
			}
			if want := map[bool]string{true: "privileged", false: "restricted"}[test.want["tenantry.dev/enforcement"] != ""]; enforced != want {
				t.Errorf("Pod Security enforces %q, want %q", enforced, want)
			}
		})
	}
}
