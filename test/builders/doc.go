// Package builders makes the objects that tests need, in words of what the test is about:
//
//	builders.Tenant("acme").Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).
//		Quota(corev1.ResourcePods, "10").Database("shared-eu").App("registry.example/shop:1").Build()
//
// Build returns the object as a user writes it, so that the defaults stay the API server's work.
// Stored turns it into what the API server makes of it, for tests that have none. Each call of
// Build returns an object of its own.
package builders
