package admission

import (
	"regexp"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
)

// variable finds the uses of a policy's variables.
var variable = regexp.MustCompile(`\bvariables\.(\w+)`)

// matchOnlyViolations replaces the match conditions of a policy that reads the TenantPolicy by one that also says
// whether a rule is broken, so that a request that breaks none ends there. Otherwise the API server evaluates all
// rules and then, even if none is broken, the messages of all; and for each of these two steps it converts the
// TenantPolicy to JSON and back (see Validate in k8s.io/apiserver/pkg/admission/plugin/policy/validating, and
// SchemalessTypedToVal in k8s.io/apiserver/pkg/cel/common). Match conditions have neither variables nor
// namespaceObject.
func matchOnlyViolations(object Object) {
	policy, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicy)
	if !ok || policy.Spec.ParamKind == nil {
		return
	}
	var conditions, rules []string
	for _, condition := range policy.Spec.MatchConditions {
		conditions = append(conditions, inParentheses(condition.Expression))
	}
	for _, rule := range policy.Spec.Validations {
		rules = append(rules, inParentheses(rule.Expression))
	}
	broken := "!" + inParentheses(withoutVariables(policy.Spec.Variables, strings.Join(rules, " && ")))
	policy.Spec.MatchConditions = []admissionregistrationv1.MatchCondition{{
		Name: "a-rule-is-broken", Expression: strings.Join(append(conditions, broken), " && "),
	}}
}

// withoutVariables returns the expression with the expressions of the variables in it. A variable uses only those
// before it.
func withoutVariables(variables []admissionregistrationv1.Variable, expression string) string {
	for _, v := range slices.Backward(variables) {
		expression = variable.ReplaceAllStringFunc(expression, func(use string) string {
			if use != "variables."+v.Name {
				return use
			}
			return inParentheses(v.Expression)
		})
	}
	return expression
}

func inParentheses(expression string) string { return "(" + strings.TrimSpace(expression) + ")" }
