package environment

import (
	"context"
	"fmt"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/config/admission"
)

const (
	policyInterval = 100 * time.Millisecond
	// sentinel is the name of a policy that is created after all others, and of the object that it refuses.
	sentinel = "sentinel.example.com"
)

// awaitPolicies waits until the API server enforces the operator's admission policies, which takes some time after
// their creation. The API server learns of policies in the order of their creation, so it knows all others once it
// refuses something because of one that was created after them.
func (e *Environment) awaitPolicies(ctx context.Context) error {
	objects, err := admission.Objects(v1alpha1.PolicyEnforce)
	if err != nil {
		return err
	}
	for _, object := range objects {
		err := wait.PollUntilContextCancel(ctx, policyInterval, true, func(ctx context.Context) (bool, error) {
			found := object.DeepCopyObject().(client.Object)
			err := e.Client.Get(ctx, client.ObjectKeyFromObject(object), found)
			if meta.IsNoMatchError(err) { // An older API server has no MutatingAdmissionPolicy.
				return true, nil
			}
			return err == nil, client.IgnoreNotFound(err)
		})
		if err != nil {
			return fmt.Errorf("the operator has not created %s: %w", object.GetName(), err)
		}
	}
	policy, binding := sentinelPolicy()
	for _, object := range []client.Object{policy, binding} {
		if err := e.Client.Create(ctx, object); err != nil {
			return err
		}
	}
	err = wait.PollUntilContextCancel(ctx, policyInterval, true, func(ctx context.Context) (bool, error) {
		refused := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: sentinel}}
		err := e.Client.Create(ctx, refused, client.DryRunAll)
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("the API server does not validate by the admission policies: %w", err)
	}
	if err := e.Client.Delete(ctx, binding); err != nil {
		return err
	}
	return e.Client.Delete(ctx, policy)
}

// sentinelPolicy returns a policy that refuses the ConfigMap with its name, and its binding.
func sentinelPolicy() (*admissionregistrationv1.ValidatingAdmissionPolicy, *admissionregistrationv1.ValidatingAdmissionPolicyBinding) {
	metadata := metav1.ObjectMeta{Name: sentinel}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metadata, Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionregistrationv1.MatchResources{ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
			ResourceNames: []string{sentinel},
			RuleWithOperations: admissionregistrationv1.RuleWithOperations{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
			},
		}}},
		Validations: []admissionregistrationv1.Validation{{Expression: "false", Message: "All policies are heeded."}},
	}}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metadata, Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: sentinel, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
	}}
	return policy, binding
}
