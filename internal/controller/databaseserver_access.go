package controller

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/status"
)

// Keys of the Secret that spec.adminSecretRef names, those of the type kubernetes.io/basic-auth.
const (
	adminUsername = corev1.BasicAuthUsernameKey
	adminPassword = corev1.BasicAuthPasswordKey
)

// accessTo is how the admin logs in to a server. It reads the Secrets once, and again after the
// spec has changed or a probe has failed, so that a server at rest costs no API request.
func (r *DatabaseServerReconciler) accessTo(ctx context.Context, server *v1alpha1.DatabaseServer) (database.Server, error) {
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

func (r *DatabaseServerReconciler) secretValue(ctx context.Context, reference v1alpha1.SecretReference, key string) (string, error) {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, types.NamespacedName{Namespace: reference.Namespace, Name: reference.Name}, secret)
	if apierrors.IsNotFound(err) {
		return "", secretProblem("There is no Secret %q in namespace %q; create it.", reference.Name, reference.Namespace)
	}
	if err != nil {
		return "", err
	}
	value, found := secret.Data[key]
	if !found {
		return "", secretProblem("The Secret %q in namespace %q has no key %q; add it.", reference.Name, reference.Namespace, key)
	}
	return string(value), nil
}

func secretProblem(format string, args ...any) error {
	return &problemError{Problem: status.Problem{
		Reason: v1alpha1.ReasonSecretNotFound, Message: fmt.Sprintf(format, args...), Stalled: true,
	}}
}

// serverProblem says what an error means for a DatabaseServer.
func serverProblem(err error) status.Problem {
	var found *problemError
	var unreachable *database.UnreachableError
	var authentication *database.AuthenticationError
	var unsuitable *database.UnsuitableServerError
	var terminating *apply.TerminatingError
	switch {
	case errors.As(err, &found):
		return found.Problem
	case errors.As(err, &terminating):
		return status.Problem{Reason: v1alpha1.ReasonProgressing, Message: err.Error()}
	case errors.As(err, &unreachable):
		return status.Problem{Reason: v1alpha1.ReasonUnreachable, Message: err.Error()}
	case errors.As(err, &authentication):
		return status.Problem{Reason: v1alpha1.ReasonAuthenticationFailed, Message: err.Error(), Stalled: true}
	case errors.As(err, &unsuitable), apierrors.IsInvalid(err):
		return status.Problem{Reason: v1alpha1.ReasonInvalid, Message: err.Error(), Stalled: true}
	case isConflict(err):
		return status.Problem{Reason: v1alpha1.ReasonConflict, Message: err.Error(), Stalled: true}
	default:
		return status.Problem{Reason: v1alpha1.ReasonFailed, Message: err.Error()}
	}
}
