package databaseserver

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/problem"
)

// Keys of the Secret that spec.adminSecretRef names, those of the type kubernetes.io/basic-auth.
const (
	adminUsername = corev1.BasicAuthUsernameKey
	adminPassword = corev1.BasicAuthPasswordKey
)

// accessTo is how the admin logs in to a server. It reads the Secrets once, and again after the
// spec has changed or a probe has failed, so that a server at rest costs no API request.
func (r *Reconciler) accessTo(ctx context.Context, server *v1alpha1.DatabaseServer) (database.Server, error) {
	if known, found := r.Fleet.Logins.To(server); found {
		return known, nil
	}
	access := database.Server{
		Name: server.Name, Host: server.Spec.Host, Port: server.Spec.Port, SSLMode: string(server.Spec.SSLMode),
	}
	admin := server.Spec.AdminSecretRef
	username, err := r.secretValue(ctx, admin, adminUsername)
	if err != nil {
		return access, err
	}
	password, err := r.secretValue(ctx, admin, adminPassword)
	if err != nil {
		return access, err
	}
	access.Username, access.Password = username, database.Sensitive(password)
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
