// Package network tests who can reach whom: a policy engine that is not ours judges the namespaces, pods and
// NetworkPolicies on the local control plane after the operator has provisioned tenants. It is a module of its
// own, which keeps the engine out of the operator's go.mod.
package network
