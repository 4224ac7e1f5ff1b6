// Package network tests who can reach whom: the namespaces, pods and NetworkPolicies that stand on
// the local control plane once the operator has made two tenants, judged by a policy engine that is
// not ours. It is a module of its own, so that the engine stays out of the operator's go.mod.
package network
