package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/plugin/answer"
)

// page is how many objects a request for a list asks for.
const page = 500

// get reads an object.
func (c *Connection) get(ctx context.Context, namespace, name string, into client.Object) error {
	return c.explain(c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into), name)
}

// list reads a list page by page, and calls visit for each.
func (c *Connection) list(ctx context.Context, into client.ObjectList, visit func(), options ...client.ListOption) error {
	options = append(options, client.Limit(page))
	for next := ""; ; {
		if err := c.client.List(ctx, into, append(options, client.Continue(next))...); err != nil {
			return c.explain(err, "")
		}
		visit()
		if next = into.GetContinue(); next == "" {
			return nil
		}
	}
}

// Tenant reads a Tenant.
func (c *Connection) Tenant(ctx context.Context, name string) (*v1alpha1.Tenant, error) {
	tenant := &v1alpha1.Tenant{}
	err := c.get(ctx, "", name, tenant)
	if apierrors.IsNotFound(err) {
		return nil, say(err, "There is no Tenant %s.", name)
	}
	return tenant, err
}

// Tenants reads all Tenants.
func (c *Connection) Tenants(ctx context.Context) (tenants []v1alpha1.Tenant, err error) {
	found := &v1alpha1.TenantList{}
	err = c.list(ctx, found, func() { tenants = append(tenants, found.Items...) })
	return tenants, err
}

// Here returns the name of the tenant that the namespace of the kubeconfig belongs to.
func (c *Connection) Here(ctx context.Context) (string, error) {
	policy := &v1alpha1.TenantPolicy{}
	err := c.get(ctx, c.namespace, naming.Policy, policy)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return "", say(err, "The namespace %s isn't one of a tenant, or not one of yours; write the name of the Tenant, or a namespace of it with --namespace.", c.namespace)
	}
	return policy.Spec.Tenant, err
}

// Class returns what the class of a Tenant says about it, and the current revision of the class. It is nil for a
// Tenant that has none.
func (c *Connection) Class(ctx context.Context, tenant *v1alpha1.Tenant) (*effective.Class, string, error) {
	name := naming.ClassOf(tenant)
	if name == "" {
		return nil, "", nil
	}
	class, err := c.TenantClass(ctx, name)
	if err != nil {
		return nil, "", err
	}
	current, revision := class.Status.CurrentRevision, tenant.Spec.ClassRevision
	if recorded := tenant.Status.Class; revision == "" && recorded != nil && recorded.Name == name {
		revision = recorded.Revision
	}
	if revision == "" {
		return nil, current, fmt.Errorf("the operator has not yet decided which revision of the class %s the Tenant %s is at; see kubectl tenantry why %s", name, tenant.Name, tenant.Name)
	}
	content := &v1alpha1.TenantClassRevision{}
	if err := c.get(ctx, "", revision, content); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, current, say(err, "There is no TenantClassRevision %s. The tenant stays as it is.", revision)
		}
		return nil, current, err
	}
	rules, _ := effective.Compile(class.Spec.Bounds.Rules) // The class says which don't compile.
	return effective.At(class, content, rules), current, nil
}

// TenantClass reads a TenantClass.
func (c *Connection) TenantClass(ctx context.Context, name string) (*v1alpha1.TenantClass, error) {
	class := &v1alpha1.TenantClass{}
	err := c.get(ctx, "", name, class)
	if apierrors.IsNotFound(err) {
		return nil, say(err, "There is no TenantClass %s. Tenants that have it stay as they are.", name)
	}
	return class, err
}

// TenantClasses returns the names of all TenantClasses.
func (c *Connection) TenantClasses(ctx context.Context) (names []string, err error) {
	found := &v1alpha1.TenantClassList{}
	err = c.list(ctx, found, func() {
		for i := range found.Items {
			names = append(names, found.Items[i].Name)
		}
	})
	return names, err
}

// Namespaces returns a tenant's namespaces as the operator lists them for the tenant's owners, or by the Tenant for
// who may read that.
func (c *Connection) Namespaces(ctx context.Context, name string) (answer.Namespaces, error) {
	listed := &corev1.ConfigMap{}
	err := c.get(ctx, name, naming.NamespaceList, listed)
	if err == nil && listed.Labels[naming.LabelTenant] == name {
		return answer.NamespacesFrom(name, listed.Data), nil
	}
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return answer.Namespaces{}, err
	}
	tenant, unreadable := c.Tenant(ctx, name)
	if unreadable == nil {
		return answer.Namespaces{Tenant: name, Namespaces: tenant.Status.Namespaces}, nil
	}
	if apierrors.IsForbidden(unreadable) && !apierrors.IsForbidden(err) {
		return c.onlyNamespace(ctx, name)
	}
	return answer.Namespaces{}, unreadable
}

// onlyNamespace returns the one namespace of a tenant that may not have others, for its owners.
func (c *Connection) onlyNamespace(ctx context.Context, name string) (answer.Namespaces, error) {
	policy := &v1alpha1.TenantPolicy{}
	if err := c.get(ctx, name, naming.Policy, policy); err != nil {
		if apierrors.IsNotFound(err) {
			return answer.Namespaces{}, say(err, "The namespace %s isn't one of a tenant.", name)
		}
		return answer.Namespaces{}, err
	}
	if !policy.Spec.Primary {
		return answer.Namespaces{}, fmt.Errorf("%s is a namespace of the Tenant %s, and no Tenant; write %s", name, policy.Spec.Tenant, policy.Spec.Tenant)
	}
	return answer.Namespaces{Tenant: name, Namespaces: []v1alpha1.TenantNamespace{{Name: name, Primary: true, State: v1alpha1.NamespaceUsable}}}, nil
}
