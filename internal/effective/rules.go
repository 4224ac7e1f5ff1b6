package effective

import (
	"errors"
	"fmt"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Rules are the compiled rules of a class. They are evaluated as the API server evaluates the rules of a
// CustomResourceDefinition, types and costs included.
type Rules struct {
	structural *structuralschema.Structural
	validator  *cel.Validator
}

// Compile compiles the rules of a class; nil if there are none. The error says which rule is wrong, and where; the
// result has the others.
func Compile(rules []v1alpha1.TenantClassRule) (*Rules, error) {
	if len(rules) == 0 {
		return nil, nil //nolint:nilnil // A class without rules is a usual one.
	}
	structural := schema().structural.DeepCopy()
	silence := &structuralschema.Visitor{Structural: func(s *structuralschema.Structural) bool {
		changed := len(s.XValidations) > 0
		s.XValidations = nil
		return changed
	}}
	silence.Visit(structural)
	for _, rule := range rules {
		structural.XValidations = append(structural.XValidations, apiextensionsv1.ValidationRule{Rule: rule.Rule, Message: rule.Message})
	}
	declared := model.SchemaDeclType(structural, false)
	compiled, err := cel.Compile(structural, declared, celconfig.PerCallLimit,
		environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()), cel.NewExpressionsEnvLoader())
	if err != nil {
		return nil, err
	}
	var failures []error
	var sound apiextensionsv1.ValidationRules
	for i, result := range compiled {
		if result.Error != nil {
			failures = append(failures, fmt.Errorf("spec.bounds.rules[%d].rule: %s", i, strings.TrimSuffix(result.Error.Detail, ".")))
			continue
		}
		sound = append(sound, structural.XValidations[i])
	}
	structural.XValidations = sound
	return &Rules{structural: structural, validator: cel.NewValidator(structural, false, celconfig.PerCallLimit)}, errors.Join(failures...)
}

// broken returns the messages of the rules that a tenant's own spec breaks.
func (r *Rules) broken(own map[string]any) (said []string) {
	if r == nil || r.validator == nil {
		return nil
	}
	found, _ := r.validator.Validate(atOnce, nil, r.structural, own, nil, celconfig.RuntimeCELCostBudget)
	for _, err := range found {
		said = append(said, strings.TrimSuffix(err.Detail, "."))
	}
	return said
}
