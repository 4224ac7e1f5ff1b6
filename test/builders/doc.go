// Package builders makes the objects that tests need, in words of what the test is about:
//
//	builders.Tenant("acme").Owner(v1alpha1.OwnerKindUser, "alice", v1alpha1.OwnerRoleAdmin).
//		Quota(corev1.ResourcePods, "10").Database("shared-eu").App("registry.example/shop:1").Build()
//
// Build returns the object as a user writes it, with nothing filled in. Stored turns it into what the
// API server makes of it, and Effective a Tenant into what the operator makes of that, for tests that
// have neither. Each call of Build returns an object of its own.
package builders
