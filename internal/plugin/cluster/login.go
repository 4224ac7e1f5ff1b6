package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/internal/naming"
)

// Login returns the Secret with the login of a tenant's database.
func (c *Connection) Login(ctx context.Context, tenant string) (*corev1.Secret, error) {
	name, err := c.secretName(ctx, tenant)
	if err != nil {
		return nil, err
	}
	secret := &corev1.Secret{}
	err = c.get(ctx, tenant, name, secret)
	if apierrors.IsNotFound(err) {
		return nil, say(err, "The Secret %s in the namespace %s doesn't exist yet; see kubectl tenantry why %s.", name, tenant, tenant)
	}
	if err == nil && len(secret.Data["PGPASSWORD"]) == 0 {
		return nil, fmt.Errorf("the Secret %s in the namespace %s has no login; see kubectl tenantry why %s", name, tenant, tenant)
	}
	return secret, err
}

// secretName returns the name of that Secret: by the Tenant, or for owners by what the operator has put there.
func (c *Connection) secretName(ctx context.Context, name string) (string, error) {
	tenant, err := c.Tenant(ctx, name)
	switch {
	case err == nil && tenant.Status.Database != nil && tenant.Status.Database.SecretName != "":
		return tenant.Status.Database.SecretName, nil
	case err == nil && tenant.Spec.Database == nil && tenant.Status.Database == nil:
		return "", fmt.Errorf("the Tenant %s has no database", name)
	case err == nil:
		return "", fmt.Errorf("the database of the Tenant %s isn't there yet; see kubectl tenantry why %s", name, name)
	case !apierrors.IsForbidden(err):
		return "", err
	}
	return c.secretInPlace(ctx, name)
}

// secretInPlace returns the name of that Secret by what is in the tenant's namespace.
func (c *Connection) secretInPlace(ctx context.Context, name string) (string, error) {
	found, login := &metav1.PartialObjectMetadataList{}, ""
	found.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("SecretList"))
	err := c.list(ctx, found, func() {
		for i := range found.Items {
			if _, isLogin := found.Items[i].Annotations[naming.AnnotationRotatedAt]; isLogin {
				login = found.Items[i].Name
			}
		}
	}, client.InNamespace(name), client.MatchingLabels(naming.ManagedLabels(name)))
	if err == nil && login == "" {
		err = fmt.Errorf("the Tenant %s has no database, or it isn't there yet", name)
	}
	return login, err
}
