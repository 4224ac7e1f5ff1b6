package admission_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/config/admission"
)

func objects(t *testing.T, enforcement v1alpha1.PolicyEnforcement) []admission.Object {
	t.Helper()
	objects, err := admission.Objects(enforcement)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func TestEachPolicyIsBound(t *testing.T) {
	policies, bound := map[string]bool{}, map[string]bool{}
	for _, object := range objects(t, v1alpha1.PolicyEnforce) {
		switch object := object.(type) {
		case *admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.MutatingAdmissionPolicy:
			policies[object.GetName()] = true
		case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
			bound[object.Spec.PolicyName] = true
		case *admissionregistrationv1.MutatingAdmissionPolicyBinding:
			bound[object.Spec.PolicyName] = true
		}
		if name := object.GetName(); !strings.HasSuffix(name, ".tenantry.dev") {
			t.Errorf("%s doesn't tell whose it is", name)
		}
	}
	if len(policies) == 0 || len(policies) != len(bound) {
		t.Errorf("of the policies %v are bound %v", policies, bound)
	}
	for name := range bound {
		if !policies[name] {
			t.Errorf("the policy %s is bound, but not there", name)
		}
	}
}

func TestEachPolicyFailsClosed(t *testing.T) {
	for _, object := range objects(t, v1alpha1.PolicyEnforce) {
		switch object := object.(type) {
		case *admissionregistrationv1.ValidatingAdmissionPolicy:
			if object.Name == "bounds.tenantry.dev" {
				continue // Else no Tenant could be created for a time after the installation; the operator looks again.
			}
			if policy := object.Spec.FailurePolicy; policy == nil || *policy != admissionregistrationv1.Fail {
				t.Errorf("%s lets through what it can't decide", object.Name)
			}
		case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
			ref := object.Spec.ParamRef
			if object.Name == "bounds.tenantry.dev" {
				continue // Its parameter is the class, which a tenant need not have.
			}
			if object.Name == "tokens.tenantry.dev" {
				continue // A kubelet asks for tokens in a namespace that is ending; see unusable.yaml for others.
			}
			if ref != nil && (ref.Namespace != "" || (refusesToCreate(object) && *ref.ParameterNotFoundAction != admissionregistrationv1.DenyAction)) {
				t.Errorf("%s lets through what there is no TenantPolicy for", object.Name)
			}
		}
	}
}

func TestNothingButCreationIsRefusedForWantOfATenantPolicy(t *testing.T) {
	for _, enforcement := range []v1alpha1.PolicyEnforcement{v1alpha1.PolicyEnforce, v1alpha1.PolicyAudit} {
		for _, object := range objects(t, enforcement) {
			binding, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicyBinding)
			if !ok || binding.Spec.ParamRef == nil || *binding.Spec.ParamRef.ParameterNotFoundAction == admissionregistrationv1.AllowAction {
				continue
			}
			if !refuses(binding) {
				t.Errorf("%s refuses what it should warn of", binding.Name)
			}
			if want := []admissionregistrationv1.OperationType{admissionregistrationv1.Create}; !slices.Equal(operations(binding), want) {
				t.Errorf("%s refuses %v for want of a TenantPolicy, so that finalizers stay; want %v", binding.Name, operations(binding), want)
			}
		}
	}
}

// Without a TenantPolicy, unusable.yaml refuses everything that the TenantPolicy has rules for.
func TestWhatNeedsATenantPolicyIsRefusedWhereANamespaceCanNotBeUsed(t *testing.T) {
	var needs, refused []string
	all := objects(t, v1alpha1.PolicyEnforce)
	for _, object := range all {
		policy, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicy)
		if !ok || policy.Name == "bounds.tenantry.dev" || (policy.Spec.ParamKind == nil && policy.Name != "unusable.tenantry.dev") {
			continue
		}
		for _, rule := range policy.Spec.MatchConstraints.ResourceRules {
			for _, resource := range rule.Resources {
				name := strings.Join(rule.APIGroups, ",") + "/" + resource
				if policy.Spec.ParamKind == nil {
					refused = append(refused, name)
				} else {
					needs = append(needs, name)
				}
			}
		}
	}
	slices.Sort(needs)
	needs = slices.Compact(needs)
	slices.Sort(refused)
	if len(needs) == 0 || !slices.Equal(needs, refused) {
		t.Errorf("without a TenantPolicy are refused\n%v\nwant\n%v", refused, needs)
	}
}

func refuses(binding *admissionregistrationv1.ValidatingAdmissionPolicyBinding) bool {
	return slices.Contains(binding.Spec.ValidationActions, admissionregistrationv1.Deny)
}

// operations returns the operations that a binding limits its policy to; none means all of them.
func operations(binding *admissionregistrationv1.ValidatingAdmissionPolicyBinding) []admissionregistrationv1.OperationType {
	var operations []admissionregistrationv1.OperationType
	for _, rule := range binding.Spec.MatchResources.ResourceRules {
		operations = append(operations, rule.Operations...)
	}
	return operations
}

func refusesToCreate(binding *admissionregistrationv1.ValidatingAdmissionPolicyBinding) bool {
	narrowed := operations(binding)
	return refuses(binding) && (len(narrowed) == 0 || slices.Contains(narrowed, admissionregistrationv1.Create))
}

func TestAuditWarnsOfAllButWhatProtectsTenantrysOwn(t *testing.T) {
	var protecting []string
	for _, object := range objects(t, v1alpha1.PolicyAudit) {
		binding, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicyBinding)
		if ok && slices.Contains(binding.Spec.ValidationActions, admissionregistrationv1.Deny) {
			protecting = append(protecting, binding.Name)
		}
	}
	if want := []string{"bounds.tenantry.dev", "classobjects.tenantry.dev", "cordoned.tenantry.dev", "managed.tenantry.dev", "namespaces.tenantry.dev", "quotas.tenantry.dev", "reclaim.tenantry.dev", "scale.tenantry.dev", "tenantclasses.tenantry.dev", "writers.tenantclasses.tenantry.dev", "tenantclassrevisions.tenantry.dev", "tenants.tenantry.dev"}; !slices.Equal(protecting, want) {
		t.Errorf("it still refuses by %v, want %v", protecting, want)
	}
}

func TestTheOperatorMayRestoreEachPolicyAndNoOther(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "rbac", "role.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict(text, role); err != nil {
		t.Fatal(err)
	}
	var may []string
	for _, rule := range role.Rules {
		if !slices.Contains(rule.APIGroups, "admissionregistration.k8s.io") || !slices.Contains(rule.Verbs, "update") {
			continue
		}
		for _, resource := range rule.Resources {
			for _, name := range rule.ResourceNames {
				may = append(may, resource+"/"+name)
			}
		}
	}
	var want []string
	for _, object := range objects(t, v1alpha1.PolicyEnforce) {
		switch object.(type) {
		case *admissionregistrationv1.ValidatingAdmissionPolicy:
			want = append(want, "validatingadmissionpolicies/"+object.GetName())
		case *admissionregistrationv1.ValidatingAdmissionPolicyBinding:
			want = append(want, "validatingadmissionpolicybindings/"+object.GetName())
		case *admissionregistrationv1.MutatingAdmissionPolicy:
			want = append(want, "mutatingadmissionpolicies/"+object.GetName())
		case *admissionregistrationv1.MutatingAdmissionPolicyBinding:
			want = append(want, "mutatingadmissionpolicybindings/"+object.GetName())
		}
	}
	slices.Sort(may)
	slices.Sort(want)
	if !slices.Equal(may, want) {
		t.Errorf("it may restore\n%s\nwant\n%s", strings.Join(may, "\n"), strings.Join(want, "\n"))
	}
}
