package main

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/config/admission"
)

// createPolicies puts the admission policies in place where no operator does, so that everybody's
// writes pay for them alike. What they cost is measured by -admission.
func (s *site) createPolicies(ctx context.Context) error {
	policies, err := admission.Objects(v1alpha1.PolicyEnforce)
	if err != nil {
		return err
	}
	for _, policy := range policies {
		if err := s.create(ctx, policy); err != nil {
			return err
		}
	}
	return s.awaitPolicies(ctx)
}

// awaitPolicies waits until the cluster has checked the types of all admission policies, which keeps it
// busy for seconds.
func (s *site) awaitPolicies(ctx context.Context) error {
	policies, err := admission.Objects(v1alpha1.PolicyEnforce)
	if err != nil {
		return err
	}
	validating := 0
	for _, policy := range policies {
		if _, ok := policy.(*admissionregistrationv1.ValidatingAdmissionPolicy); ok {
			validating++
		}
	}
	return s.await(ctx, &admissionregistrationv1.ValidatingAdmissionPolicyList{}, validating, "admission policies checked", func(object client.Object) bool {
		return object.(*admissionregistrationv1.ValidatingAdmissionPolicy).Status.ObservedGeneration == object.GetGeneration()
	})
}
