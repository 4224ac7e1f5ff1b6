// Package conformance runs Kubernetes' own tests of NetworkPolicies and of Pod Security on real nodes with Tenantry: in
// namespaces of nobody, where they show that the nodes enforce what NetworkPolicies say, and, as far as they can hold,
// in those of a tenant. They are from k8s.io/kubernetes/test/e2e/network/netpol and k8s.io/pod-security-admission/test.
//
// Within a tenant, everything reaches everything, since allow-tenant says so, and NetworkPolicies only add to each
// other. So tests there that expect a refusal between pods of the tenant fail by design, and aren't run.
//
// It is a module of its own, and no part of `make test`: `make conformance` runs it.
package conformance
