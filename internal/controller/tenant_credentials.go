package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
)

// maxRequest is how much the status holds of a request to rotate; a longer one is hashed.
const maxRequest = 253

// loadCredentials reads the tenant's Secret. It is believed when it is the recorded one, or nothing
// is recorded yet; otherwise the server has to say what the password in it is good for.
func (r *TenantReconciler) loadCredentials(ctx context.Context, run *reconciliation) error {
	run.rotation = rotationOf(run.tenant())
	stored, err := r.storedCredentials(ctx, run)
	if err != nil {
		return err
	}
	recorded := run.database
	switch {
	case recorded == nil && stored.Password == "":
		run.setCredentials(run.rotation.New(run.now))
	case recorded == nil:
		run.setCredentials(stored)
	case stored.Password != "" && revision(stored.Password) == recorded.CredentialsRevision && run.login(stored) == recorded.Login:
		known := recordedCredentials(recorded, run.rotation)
		known.Password, known.Next = stored.Password, stored.Next
		run.setCredentials(run.rotation.Start(known, run.now))
	default:
		run.credentials = recordedCredentials(recorded, run.rotation)
		run.unverified = &stored
	}
	return nil
}

// rotationOf is when the tenant's password changes.
func rotationOf(tenant *effective.Tenant) database.Rotation {
	spec := tenant.Spec.Database.Credentials.Rotation
	rotation := database.Rotation{
		GracePeriod: spec.GracePeriod.Duration, Request: tenant.Annotations[v1alpha1.AnnotationRotateCredentials],
	}
	if len(rotation.Request) > maxRequest {
		sum := sha256.Sum256([]byte(rotation.Request))
		rotation.Request = hex.EncodeToString(sum[:])
	}
	if spec.Interval != nil {
		rotation.Interval = spec.Interval.Duration
	}
	return rotation
}

// storedCredentials are those in the tenant's Secret, as far as it has any that the operator may have
// made.
func (r *TenantReconciler) storedCredentials(ctx context.Context, run *reconciliation) (database.Credentials, error) {
	tenant := run.tenant()
	names := []string{tenant.Spec.Database.Credentials.SecretName}
	if recorded := run.database; recorded != nil && recorded.SecretName != names[0] {
		names = append(names, recorded.SecretName)
	}
	for _, name := range names {
		secret, err := r.secretOf(ctx, tenant, name)
		if err != nil {
			return database.Credentials{}, err
		}
		if found := run.credentialsIn(secret); metav1.IsControlledBy(secret, tenant) && found.Password+found.Next != "" {
			return found, nil
		}
	}
	return database.Credentials{}, nil
}

// secretOf is a Secret of the tenant, an empty one if there is none.
func (r *TenantReconciler) secretOf(ctx context.Context, tenant *effective.Tenant, name string) (*corev1.Secret, error) {
	key := types.NamespacedName{Namespace: tenant.Name, Name: name}
	secret := &corev1.Secret{}
	err := r.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) && len(naming.DatabaseServers(tenant.Finalizers)) > 0 {
		// The cache sees managed objects only, and somebody may have taken the label off.
		err = r.Live.Get(ctx, key, secret)
	}
	return secret, client.IgnoreNotFound(err)
}

func (run *reconciliation) credentialsIn(secret *corev1.Secret) database.Credentials {
	generated := func(key string) database.Sensitive {
		if password := string(secret.Data[key]); database.IsGenerated(password) {
			return database.Sensitive(password)
		}
		return ""
	}
	found := database.Credentials{
		Password: generated(parts.SecretKeyPassword), Next: generated(parts.SecretKeyNextPassword),
		RotatedAt: run.now, Request: secret.Annotations[v1alpha1.AnnotationRotateCredentials],
	}
	if at, err := time.Parse(time.RFC3339, secret.Annotations[naming.AnnotationRotatedAt]); err == nil {
		found.RotatedAt = at
	}
	logins := database.Logins(databaseName(run.tenant(), run.database))
	found.Active = slices.Index(logins[:], string(secret.Data[parts.SecretKeyUsername]))
	if found.Active < 0 {
		found.Active = recordedLogin(run.database)
	}
	return found
}

// recordedLogin says which of the two logins is recorded as the active one; the first if none is.
func recordedLogin(recorded *v1alpha1.TenantDatabaseStatus) int {
	if recorded == nil {
		return 0
	}
	logins := database.Logins(recorded.Name)
	return max(0, slices.Index(logins[:], recorded.Login))
}

// recordedCredentials are those of the status, which has no passwords.
func recordedCredentials(recorded *v1alpha1.TenantDatabaseStatus, rotation database.Rotation) database.Credentials {
	credentials := database.Credentials{Active: recordedLogin(recorded), Request: recorded.RotationRequest}
	if recorded.RotatedAt != nil {
		credentials.RotatedAt = recorded.RotatedAt.Time
	}
	if recorded.FormerLoginUntil != nil {
		// The grace period may have been changed since.
		credentials.FormerUntil = credentials.RotatedAt.Add(rotation.GracePeriod)
	}
	return credentials
}

// login is the role that the tenant logs in by.
func (run *reconciliation) login(c database.Credentials) string {
	return database.Logins(databaseName(run.tenant(), run.database))[c.Active]
}

// setCredentials makes them those that the tenant's Secret is made from.
func (run *reconciliation) setCredentials(c database.Credentials) {
	run.credentials, run.unverified = c, nil
	name := databaseName(run.tenant(), run.database)
	run.inputs.Login = &parts.Login{
		Database: connectTo(run.tenant(), run.database, name), Username: database.Logins(name)[c.Active], Password: string(c.Password),
		NextPassword: string(c.Next), RotatedAt: c.RotatedAt, RotationRequest: c.Request,
	}
}

// applyLogin writes the Secret. A password that stands nowhere must not restart the app.
func (r *TenantReconciler) applyLogin(ctx context.Context, run *reconciliation) error {
	err := r.apply(ctx, run, parts.Database)
	if err != nil {
		run.inputs.Login = nil
	}
	return err
}

// checkLogin compares the credentials with what the server has, and writes the Secret when that
// leads to others.
func (r *TenantReconciler) checkLogin(ctx context.Context, run *reconciliation, observed database.Observed) error {
	switch {
	case run.unverified != nil:
		run.setCredentials(run.rotation.Recover(*run.unverified, run.credentials, observed))
	case run.database == nil:
		run.setCredentials(run.rotation.WithFormer(run.credentials, observed))
	default:
		run.setCredentials(run.rotation.Check(run.credentials, observed))
	}
	return r.applyLogin(ctx, run)
}

// completeRotation lets the tenant have the login that the server takes by now.
func (r *TenantReconciler) completeRotation(ctx context.Context, run *reconciliation) error {
	if run.credentials.Next == "" {
		return nil
	}
	run.setCredentials(run.rotation.Complete(run.credentials, run.now))
	if err := r.applyLogin(ctx, run); err != nil {
		return err
	}
	metrics.Rotations.WithLabelValues(run.inputs.Server.Name).Inc()
	r.Recorder.Eventf(objectOf(run.tenant()), nil, corev1.EventTypeNormal, "CredentialsRotated", "Reconcile",
		"The login in Secret %s is %s now; the former one takes new sessions until %s.",
		run.tenant().Spec.Database.Credentials.SecretName, run.inputs.Login.Username, run.credentials.FormerUntil.UTC().Format(time.RFC3339))
	return nil
}

// formerIsDue says whether the former login has had its time.
func (run *reconciliation) formerIsDue() bool {
	until := run.credentials.FormerUntil
	return !until.IsZero() && !run.now.Before(until)
}

// nextLook is when the credentials want to be looked at again, by themselves; zero if never. What is
// due already and could not be done has met a problem, which says when it is tried again.
func (run *reconciliation) nextLook() time.Duration {
	if run.database == nil || run.unverified != nil {
		return 0
	}
	at := run.rotation.NextLook(run.credentials)
	if at.IsZero() || !run.provisioned && !run.now.Before(at) {
		return 0
	}
	return max(time.Until(at), time.Millisecond)
}

// revision stands for a password. That has 190 random bits, so its hash tells nothing.
func revision(password database.Sensitive) string {
	sum := sha256.Sum256([]byte(password))
	return hex.EncodeToString(sum[:8])
}

func timeOrNil(at time.Time) *metav1.Time {
	if at.IsZero() {
		return nil
	}
	return new(metav1.NewTime(at))
}
