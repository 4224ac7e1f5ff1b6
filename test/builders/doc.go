// Package builders builds the objects that tests need, in the terms of the test:
//
//	builders.Tenant("acme").Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).
//		Quota(corev1.ResourcePods, "10").Database("shared-eu").App("registry.example/shop:1").Build()
//
// Build returns the object as a user writes it, without defaults. For tests without an API server or operator,
// Stored returns the object as the API server stores it, and Effective a Tenant as the operator sees it. Each call
// of Build returns a new object.
package builders
