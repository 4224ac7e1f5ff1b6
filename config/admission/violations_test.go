package admission_test

import (
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

func TestARequestThatBreaksNoRuleEndsAtTheMatchCondition(t *testing.T) {
	found := map[string]string{}
	for _, object := range objects(t, v1alpha1.PolicyEnforce) {
		policy, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicy)
		if !ok || policy.Spec.ParamKind == nil {
			continue
		}
		if len(policy.Spec.MatchConditions) != 1 {
			t.Errorf("%s has %d match conditions, want one", policy.Name, len(policy.Spec.MatchConditions))
			continue
		}
		condition := policy.Spec.MatchConditions[0].Expression
		for _, missing := range []string{"variables.", "namespaceObject"} {
			if strings.Contains(condition, missing) {
				t.Errorf("the match condition of %s uses %s, which match conditions don't have:\n%s", policy.Name, missing, condition)
			}
		}
		found[policy.Name] = condition
	}
	want := "(request.operation == 'CREATE' || object.spec != oldObject.spec) && " +
		"!((object.spec.type in (params.spec.?serviceTypes.orValue(['ClusterIP']))) && (object.spec.?externalIPs.orValue([]).size() == 0))"
	if got := found["services.tenantry.dev"]; got != want {
		t.Errorf("the match condition of services.tenantry.dev is\n%s\nwant\n%s", got, want)
	}
}
