package parts

import (
	"strings"

	"k8s.io/apiserver/pkg/authentication/serviceaccount"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/problem"
)

// OwnersNamespaces returns the namespaces of the ServiceAccounts among a tenant's owners, without its own primary
// one. They must be trusted: whoever controls such a namespace has the owner's rights.
func OwnersNamespaces(tenant *effective.Tenant) []string {
	var namespaces []string
	for _, owner := range tenant.Spec.Owners {
		if namespace := accountNamespace(owner); namespace != "" && namespace != tenant.Name && !owner.TrustNamespace {
			namespaces = append(namespaces, namespace)
		}
	}
	return namespaces
}

// accountNamespace returns the namespace of an owner that is a ServiceAccount, or the group of all ServiceAccounts
// of a namespace, under whichever kind and name; empty for other owners.
func accountNamespace(owner v1alpha1.Owner) string {
	switch owner.Kind {
	case v1alpha1.OwnerKindServiceAccount:
		return owner.Namespace
	case v1alpha1.OwnerKindGroup:
		namespace, _ := strings.CutPrefix(owner.Name, serviceaccount.ServiceAccountGroupPrefix)
		if namespace != owner.Name {
			return namespace
		}
	case v1alpha1.OwnerKindUser:
		if namespace, _, err := serviceaccount.SplitUsername(owner.Name); err == nil {
			return namespace
		}
	}
	return ""
}

// trusted reports whether an owner has its rights.
func (in Inputs) trusted(owner v1alpha1.Owner) bool {
	_, untrusted := in.UntrustedNamespaces[accountNamespace(owner)]
	return owner.TrustNamespace || !untrusted
}

func accessInPlace(o Observation) condition.State {
	if len(o.Tenant.Spec.Owners) == 0 {
		return condition.Ready("The tenant has no owners.")
	}
	var owners []string
	for _, owner := range o.Tenant.Spec.Owners {
		if why, untrusted := o.UntrustedNamespaces[accountNamespace(owner)]; untrusted && !owner.TrustNamespace {
			owners = append(owners, string(owner.Kind)+" "+owner.Name+": the namespace "+accountNamespace(owner)+" "+why)
		}
	}
	if len(owners) > 0 {
		return condition.Of(problem.UntrustedOwners(owners))
	}
	return condition.Ready("The owners' rights are in place.")
}
