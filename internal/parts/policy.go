package parts

import (
	"slices"
	"strings"

	podsecurity "k8s.io/pod-security-admission/api"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
)

// tenantPolicy returns the TenantPolicy for one of the tenant's namespaces. An unusable namespace has none, so
// that the API server refuses everything that needs one.
func tenantPolicy(in Inputs, place Place) desired.Object {
	if !place.Usable {
		return nil
	}
	rules := *in.Tenant.Spec.Policy.DeepCopy()
	rules.Hostnames = slices.DeleteFunc(rules.Hostnames, func(hostname v1alpha1.HostnamePattern) bool {
		return slices.Contains(in.ForeignHostnames, hostname)
	})
	return &v1alpha1.TenantPolicy{
		ObjectMeta: metaIn(place.Name, in.Tenant, naming.Policy),
		Spec: v1alpha1.TenantPolicySpec{
			Tenant: in.Tenant.Name, Primary: in.isPrimary(place), PolicyRules: rules,
		},
	}
}

// policyLabels returns the labels of a namespace that the admission policies read.
func policyLabels(in Inputs) map[string]string {
	spec := in.Tenant.Spec
	standard := strings.ToLower(string(spec.Policy.PodSecurity))
	labels := map[string]string{
		podsecurity.EnforceLevelLabel: standard,
		podsecurity.AuditLevelLabel:   standard,
		podsecurity.WarnLevelLabel:    standard,
	}
	if in.Audit || spec.Policy.Enforcement == v1alpha1.PolicyAudit {
		labels[podsecurity.EnforceLevelLabel] = string(podsecurity.LevelPrivileged)
		labels[naming.LabelEnforcement] = string(v1alpha1.PolicyAudit)
	}
	if spec.Cordoned {
		labels[naming.LabelCordoned] = "true"
	}
	for label, set := range map[string]bool{
		naming.LabelPodDefaults:     hasPodDefaults(spec.Policy),
		naming.LabelIngressDefaults: hasDefault(spec.Policy.IngressClasses),
		naming.LabelClaimDefaults:   hasDefault(spec.Policy.StorageClasses),
	} {
		if set {
			labels[label] = "true"
		}
	}
	return labels
}

func hasPodDefaults(rules v1alpha1.PolicyRules) bool {
	return hasDefault(rules.PriorityClasses) || hasDefault(rules.RuntimeClasses) ||
		len(rules.ImagePullPolicies) == 1 ||
		(rules.NodeSelector != nil && len(rules.NodeSelector.Default) > 0) ||
		(rules.Tolerations != nil && len(rules.Tolerations.Default) > 0)
}

func hasDefault(rule *v1alpha1.ClassRule) bool { return rule != nil && rule.Default != "" }
