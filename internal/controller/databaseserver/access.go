package databaseserver

import (
	"context"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/service"
)

// Keys of the Secret that spec.adminSecretRef names, as in Secrets of the type kubernetes.io/basic-auth.
const (
	adminUsername = corev1.BasicAuthUsernameKey
	adminPassword = corev1.BasicAuthPasswordKey
	// authority is the key of the certificate authorities in the Secret that keepLogin writes.
	authority = corev1.ServiceAccountRootCAKey
)

// accessTo returns how the operator logs in to a server. It reads the Secrets again only after the spec has
// changed or a probe has failed, so that a server at rest costs no API requests.
func (r *Reconciler) accessTo(ctx context.Context, server *v1alpha1.DatabaseServer) (database.Server, error) {
	if known, found := r.Fleet.Logins.To(server); found {
		return known, nil
	}
	access := addressOf(server)
	admin := server.Spec.AdminSecretRef
	username, err := r.secretValue(ctx, admin, adminUsername)
	if err != nil {
		return access, err
	}
	password, err := r.secretValue(ctx, admin, adminPassword)
	if err != nil {
		return access, err
	}
	access.Username, access.Password = username, service.Sensitive(password)
	if access.Cluster, err = r.clusterUID(ctx); err != nil {
		return access, err
	}
	if ca := server.Spec.CASecretRef; ca != nil {
		if access.CACert, err = r.secretValue(ctx, ca.SecretReference, ca.Key); err != nil {
			return access, err
		}
	}
	r.Fleet.Logins.Put(server, access)
	return access, nil
}

func (r *Reconciler) secretValue(ctx context.Context, reference v1alpha1.SecretReference, key string) (string, error) {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: reference.Namespace, Name: reference.Name}, secret)
	if apierrors.IsNotFound(err) {
		return "", problem.SecretNotFound(reference.Namespace, reference.Name)
	}
	if err != nil {
		return "", err
	}
	value, found := secret.Data[key]
	if !found {
		return "", problem.SecretKeyMissing(reference.Namespace, reference.Name, key)
	}
	return string(value), nil
}

// keepLogin stores the login that a server has just accepted. GitOps tools delete the Secret, the server and its
// tenants together, in any order, and the tenants can't be removed without the login.
func (r *Reconciler) keepLogin(ctx context.Context, server *v1alpha1.DatabaseServer, access database.Server) error {
	if server.Spec.Dedicated != nil || !server.DeletionTimestamp.IsZero() {
		return nil
	}
	labels := map[string]string{naming.LabelManagedBy: naming.ManagedBy, naming.LabelServer: server.Name}
	_, err := r.Engine.Apply(ctx, server, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: naming.ManagerNamespace, Name: naming.ServerLogin(server.Name), Labels: labels},
		Type:       corev1.SecretTypeBasicAuth,
		Data: map[string][]byte{
			adminUsername: []byte(access.Username), adminPassword: []byte(access.Password), authority: []byte(access.CACert),
		},
	})
	return err
}

// keptLogin returns the login that a server has accepted last, if err says that the Secret in its spec is gone.
func (r *Reconciler) keptLogin(ctx context.Context, server *v1alpha1.DatabaseServer, err error) (access database.Server, found bool) {
	if missing, ok := errors.AsType[problem.Problem](err); !ok || missing.Reason != v1alpha1.ReasonSecretNotFound {
		return access, false
	}
	secret := &corev1.Secret{}
	key := types.NamespacedName{Namespace: naming.ManagerNamespace, Name: naming.ServerLogin(server.Name)}
	if r.Get(ctx, key, secret) != nil || !metav1.IsControlledBy(secret, server) {
		return access, false
	}
	access = addressOf(server)
	access.Username, access.Password = string(secret.Data[adminUsername]), service.Sensitive(secret.Data[adminPassword])
	access.CACert = string(secret.Data[authority])
	access.Cluster, err = r.clusterUID(ctx)
	return access, err == nil
}

func addressOf(server *v1alpha1.DatabaseServer) database.Server {
	return database.Server{
		Name: server.Name, Host: server.Spec.Host, Port: server.Spec.Port, SSLMode: string(server.Spec.SSLMode),
	}
}
