package main

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// createPolicies creates the admission policies on the site without an operator, so that writes cost the same on
// both. The cost of the policies is measured with -admission.
func (b *bench) createPolicies(ctx context.Context, s *site) error {
	for _, policy := range b.policies {
		if err := s.create(ctx, policy); err != nil {
			return err
		}
	}
	return b.awaitPolicies(ctx, s)
}

// awaitPolicies waits until the cluster has checked the types of all admission policies, which keeps it
// busy for seconds.
func (b *bench) awaitPolicies(ctx context.Context, s *site) error {
	validating := 0
	for _, policy := range b.policies {
		if _, ok := policy.(*admissionregistrationv1.ValidatingAdmissionPolicy); ok {
			validating++
		}
	}
	return s.await(ctx, &admissionregistrationv1.ValidatingAdmissionPolicyList{}, validating, "admission policies checked", func(object client.Object) bool {
		return object.(*admissionregistrationv1.ValidatingAdmissionPolicy).Status.ObservedGeneration == object.GetGeneration()
	})
}
