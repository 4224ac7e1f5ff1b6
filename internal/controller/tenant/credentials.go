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
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/metrics"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/service"
)

// maxRequest is the maximum length of a rotation request in the status. A longer one is hashed.
const maxRequest = 253

// loadCredentials reads the tenant's Secret, and decides whether it can be trusted.
func (d *databasePhase) loadCredentials(ctx context.Context) error {
	stored, err := d.storedCredentials(ctx)
	if err != nil {
		return err
	}
	rotation := rotationOf(d.tenant())
	d.open(rotation, stored)
	if d.account.Unverified != nil || !d.account.FormerIsDue(d.now) {
		return nil
	}
	if rotation.FormerInUse, err = d.formerInUse(ctx); rotation.FormerInUse {
		d.open(rotation, stored)
	}
	return err
}

// open sets the account and, if it can be trusted, the login.
func (d *databasePhase) open(rotation service.Rotation, stored service.Credentials) {
	if d.asleep {
		rotation.Interval, rotation.Request = 0, "" // The password changes when the tenant wakes.
	}
	d.account = service.Open(rotation, recordOf(d.recorded), stored, d.now)
	if d.account.Unverified == nil {
		d.setLogin()
	}
}

// formerInUse reports whether pods that the operator runs for the tenant may still use the former login, for example
// those of a Job that takes long.
func (d *databasePhase) formerInUse(ctx context.Context) (bool, error) {
	pods, err := podsOf(ctx, d.servers, d.tenant())
	return err == nil && parts.Outlive(*d.in, pods), err
}

// rotationOf returns the rotation that the tenant's spec and annotation ask for.
func rotationOf(tenant *effective.Tenant) service.Rotation {
	spec := tenant.Spec.Database.Credentials.Rotation
	rotation := service.Rotation{
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

// storedCredentials returns the credentials in the tenant's Secret. It ignores passwords that the operator can't
// have generated.
func (d *databasePhase) storedCredentials(ctx context.Context) (service.Credentials, error) {
	tenant := d.tenant()
	names := []string{tenant.Spec.Database.Credentials.SecretName}
	if recorded := d.recorded; recorded != nil && recorded.SecretName != names[0] {
		names = append(names, recorded.SecretName)
	}
	for _, name := range names {
		secret, err := d.secretOf(ctx, tenant, name)
		if err != nil {
			return service.Credentials{}, err
		}
		if name == names[0] {
			d.secretVersion = secret.ResourceVersion
		}
		if found := d.credentialsIn(secret); holds(tenant, secret) && found.Password+found.Next != "" {
			return found, nil
		}
	}
	return service.Credentials{}, nil
}

// holds reports whether a Secret is the tenant's, or was restored from a backup and can be taken over.
func holds(tenant *effective.Tenant, secret *corev1.Secret) bool {
	return metav1.IsControlledBy(secret, tenant) ||
		tenant.Spec.AdoptObjects && apply.Restored(secret, naming.ManagedLabels(tenant.Name))
}

// adoptRestored makes the tenant adopt the database whose login a backup has restored, unless its spec says which
// one to adopt.
func (d *databasePhase) adoptRestored(ctx context.Context) error {
	spec := d.tenant().Spec
	if !spec.AdoptObjects || spec.Database == nil || spec.Database.Adopt != "" || d.recorded != nil {
		return nil
	}
	secret, err := d.secretOf(ctx, d.tenant(), spec.Database.Credentials.SecretName)
	if err != nil || !holds(d.tenant(), secret) {
		return err
	}
	name, isLogin := database.NameOfLogin(string(secret.Data[parts.SecretKeyUsername]))
	if isLogin && name != database.Name(string(d.tenant().UID)) {
		spec.Database.Adopt = name
	}
	return nil
}

// secretOf returns a Secret of the tenant, an empty one if there is none.
func (s servers) secretOf(ctx context.Context, tenant *effective.Tenant, name string) (*corev1.Secret, error) {
	key := types.NamespacedName{Namespace: tenant.Name, Name: name}
	secret := &corev1.Secret{}
	err := s.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) && len(naming.DatabaseServers(tenant.Finalizers)) > 0 {
		// The cache has only managed objects, and somebody may have removed the label.
		err = s.live.Get(ctx, key, secret)
	}
	return secret, client.IgnoreNotFound(err)
}

func (d *databasePhase) credentialsIn(secret *corev1.Secret) service.Credentials {
	generated := func(key string) service.Sensitive {
		if password := string(secret.Data[key]); service.IsGenerated(password) {
			return service.Sensitive(password)
		}
		return ""
	}
	found := service.Credentials{
		Password: generated(parts.SecretKeyPassword), Next: generated(parts.SecretKeyNextPassword),
		RotatedAt: d.now, Request: secret.Annotations[v1alpha1.AnnotationRotateCredentials],
	}
	if at, err := time.Parse(time.RFC3339, secret.Annotations[naming.AnnotationRotatedAt]); err == nil {
		found.RotatedAt = at
	}
	name := databaseName(d.tenant(), d.recorded)
	found.Active = loginIndex(name, string(secret.Data[parts.SecretKeyUsername]))
	if found.Active < 0 && d.recorded != nil {
		found.Active = loginIndex(name, d.recorded.Login)
	}
	found.Active = max(0, found.Active)
	return found
}

// loginIndex returns the index of a login among the two of a database; negative if it is neither.
func loginIndex(name, login string) int {
	logins := database.Logins(name)
	return slices.Index(logins[:], login)
}

// recordOf returns the record of the credentials in the status of a tenant.
func recordOf(recorded *v1alpha1.TenantDatabaseStatus) *service.Record {
	if recorded == nil {
		return nil
	}
	record := &service.Record{
		Login: loginIndex(recorded.Name, recorded.Login), Revision: recorded.CredentialsRevision,
		Request: recorded.RotationRequest, InGrace: recorded.FormerLoginUntil != nil,
	}
	if recorded.RotatedAt != nil {
		record.RotatedAt = recorded.RotatedAt.Time
	}
	return record
}

// setLogin sets the inputs of the tenant's Secret from its credentials.
func (d *databasePhase) setLogin() {
	name, c := databaseName(d.tenant(), d.recorded), d.account.Credentials
	isolation := isolationOf(d.tenant(), d.recorded)
	d.in.Login = &parts.Login{
		Database: database.ConnectTo(isolation, name), Schema: database.Schema(isolation, name),
		Username: database.Logins(name)[c.Active], Password: string(c.Password),
		NextPassword: string(c.Next), RotatedAt: c.RotatedAt, RotationRequest: c.Request,
		SecretVersion: d.secretVersion,
	}
}

// applyLogin writes the Secret. If that fails, it removes the login from the inputs: a password that isn't stored
// must not restart the app.
func (d *databasePhase) applyLogin(ctx context.Context) (err error) {
	for _, secret := range parts.Database.Objects(*d.in) {
		d.secretVersion, err = d.applyObject(ctx, d.tenant(), secret)
		if ended := ctx.Err(); ended != nil {
			err = ended
		}
		if err != nil {
			d.in.Login = nil
			return err
		}
		d.in.Login.SecretVersion = d.secretVersion
	}
	return nil
}

// completeRotation gives the tenant its next login, which the server accepts by now.
func (d *databasePhase) completeRotation(ctx context.Context) error {
	account := &d.account
	if account.Credentials.Next == "" {
		return nil
	}
	account.Use(account.Rotation.Complete(account.Credentials, d.now))
	d.setLogin()
	if err := d.applyLogin(ctx); err != nil {
		return err
	}
	metrics.Rotations.WithLabelValues(d.in.Server.Name).Inc()
	d.recorder.Eventf(objectOf(d.tenant()), nil, corev1.EventTypeNormal, "CredentialsRotated", "Reconcile",
		"The login in Secret %s is %s now; the former one takes new sessions until %s.",
		d.tenant().Spec.Database.Credentials.SecretName, d.in.Login.Username, account.Credentials.FormerUntil.UTC().Format(time.RFC3339))
	return nil
}

// nextLook returns how long the credentials stay as they are; zero if forever.
func (d *databasePhase) nextLook() time.Duration {
	if d.recorded == nil || d.rests() {
		return 0
	}
	at := d.account.NextLook(d.now, d.provisioned)
	if at.IsZero() {
		return 0
	}
	wait := max(time.Until(at), time.Millisecond)
	if d.account.Rotation.FormerInUse {
		return min(wait, podsInterval) // Nothing tells when a pod is gone.
	}
	return wait
}
