package tenant

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
func (d *databasePhase) loadCredentials(ctx context.Context) error {
	d.rotation = rotationOf(d.tenant())
	stored, err := d.storedCredentials(ctx)
	if err != nil {
		return err
	}
	recorded := d.recorded
	switch {
	case recorded == nil && stored.Password == "":
		d.setCredentials(d.rotation.New(d.now))
	case recorded == nil:
		d.setCredentials(stored)
	case stored.Password != "" && revision(stored.Password) == recorded.CredentialsRevision && d.login(stored) == recorded.Login:
		known := recordedCredentials(recorded, d.rotation)
		known.Password, known.Next = stored.Password, stored.Next
		d.setCredentials(d.rotation.Start(known, d.now))
	default:
		d.credentials = recordedCredentials(recorded, d.rotation)
		d.unverified = &stored
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
func (d *databasePhase) storedCredentials(ctx context.Context) (database.Credentials, error) {
	tenant := d.tenant()
	names := []string{tenant.Spec.Database.Credentials.SecretName}
	if recorded := d.recorded; recorded != nil && recorded.SecretName != names[0] {
		names = append(names, recorded.SecretName)
	}
	for _, name := range names {
		secret, err := d.secretOf(ctx, tenant, name)
		if err != nil {
			return database.Credentials{}, err
		}
		if found := d.credentialsIn(secret); metav1.IsControlledBy(secret, tenant) && found.Password+found.Next != "" {
			return found, nil
		}
	}
	return database.Credentials{}, nil
}

// secretOf is a Secret of the tenant, an empty one if there is none.
func (s servers) secretOf(ctx context.Context, tenant *effective.Tenant, name string) (*corev1.Secret, error) {
	key := types.NamespacedName{Namespace: tenant.Name, Name: name}
	secret := &corev1.Secret{}
	err := s.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) && len(naming.DatabaseServers(tenant.Finalizers)) > 0 {
		// The cache sees managed objects only, and somebody may have taken the label off.
		err = s.live.Get(ctx, key, secret)
	}
	return secret, client.IgnoreNotFound(err)
}

func (d *databasePhase) credentialsIn(secret *corev1.Secret) database.Credentials {
	generated := func(key string) database.Sensitive {
		if password := string(secret.Data[key]); database.IsGenerated(password) {
			return database.Sensitive(password)
		}
		return ""
	}
	found := database.Credentials{
		Password: generated(parts.SecretKeyPassword), Next: generated(parts.SecretKeyNextPassword),
		RotatedAt: d.now, Request: secret.Annotations[v1alpha1.AnnotationRotateCredentials],
	}
	if at, err := time.Parse(time.RFC3339, secret.Annotations[naming.AnnotationRotatedAt]); err == nil {
		found.RotatedAt = at
	}
	logins := database.Logins(databaseName(d.tenant(), d.recorded))
	found.Active = slices.Index(logins[:], string(secret.Data[parts.SecretKeyUsername]))
	if found.Active < 0 {
		found.Active = recordedLogin(d.recorded)
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
func (d *databasePhase) login(c database.Credentials) string {
	return database.Logins(databaseName(d.tenant(), d.recorded))[c.Active]
}

// setCredentials makes them those that the tenant's Secret is made from.
func (d *databasePhase) setCredentials(c database.Credentials) {
	d.credentials, d.unverified = c, nil
	name := databaseName(d.tenant(), d.recorded)
	d.in.Login = &parts.Login{
		Database: connectTo(d.tenant(), d.recorded, name), Username: database.Logins(name)[c.Active], Password: string(c.Password),
		NextPassword: string(c.Next), RotatedAt: c.RotatedAt, RotationRequest: c.Request,
	}
}

// applyLogin writes the Secret. A password that stands nowhere must not restart the app.
func (d *databasePhase) applyLogin(ctx context.Context) error {
	err := d.applyAll(ctx, d.tenant(), parts.Database.Objects(*d.in))
	if ended := ctx.Err(); ended != nil {
		err = ended
	}
	if err != nil {
		d.in.Login = nil
	}
	return err
}

// credentialsFor are the tenant's credentials in the light of what the server has.
func (d *databasePhase) credentialsFor(observed database.Observed) database.Credentials {
	switch {
	case d.unverified != nil:
		return d.rotation.Recover(*d.unverified, d.credentials, observed)
	case d.recorded == nil:
		return d.rotation.WithFormer(d.credentials, observed)
	default:
		return d.rotation.Check(d.credentials, observed)
	}
}

// completeRotation lets the tenant have the login that the server takes by now.
func (d *databasePhase) completeRotation(ctx context.Context) error {
	if d.credentials.Next == "" {
		return nil
	}
	d.setCredentials(d.rotation.Complete(d.credentials, d.now))
	if err := d.applyLogin(ctx); err != nil {
		return err
	}
	metrics.Rotations.WithLabelValues(d.in.Server.Name).Inc()
	d.recorder.Eventf(objectOf(d.tenant()), nil, corev1.EventTypeNormal, "CredentialsRotated", "Reconcile",
		"The login in Secret %s is %s now; the former one takes new sessions until %s.",
		d.tenant().Spec.Database.Credentials.SecretName, d.in.Login.Username, d.credentials.FormerUntil.UTC().Format(time.RFC3339))
	return nil
}

// formerIsDue says whether the former login has had its time.
func (d *databasePhase) formerIsDue() bool {
	until := d.credentials.FormerUntil
	return !until.IsZero() && !d.now.Before(until)
}

// nextLook is when the credentials want to be looked at again, by themselves; zero if never. What is
// due already and could not be done has met a problem, which says when it is tried again.
func (d *databasePhase) nextLook() time.Duration {
	if d.recorded == nil || d.unverified != nil {
		return 0
	}
	at := d.rotation.NextLook(d.credentials)
	if at.IsZero() || !d.provisioned && !d.now.Before(at) {
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
