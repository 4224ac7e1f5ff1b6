package tenant

import (
	"context"
	"sync"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/clusterdns"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/services"
)

// dnsKey is the key by which the follower has the Services of the cluster's DNS.
const dnsKey = "the cluster's DNS"

// ClusterDNS knows where the cluster's DNS is, and follows changes. It is a source of the controller, which waits
// for its first sync, so that no tenant loses access to DNS when the operator starts.
type ClusterDNS struct {
	setting  clusterdns.Setting
	follower *services.Follower
	changes  fleet.Notices
	tenants  func(ctx context.Context, _ string) []reconcile.Request

	mutex sync.Mutex
	known []networkingv1.NetworkPolicyEgressRule
}

// NewClusterDNS returns a ClusterDNS that finds the cluster's DNS by a setting.
func NewClusterDNS(cluster client.WithWatch, setting clusterdns.Setting) *ClusterDNS {
	d := &ClusterDNS{setting: setting}
	d.follower = services.New(cluster, d.changed)
	return d
}

// rules returns the egress rules that allow the cluster's DNS; none if d is nil.
func (d *ClusterDNS) rules() []networkingv1.NetworkPolicyEgressRule {
	if d == nil {
		return nil
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return d.known
}

func (d *ClusterDNS) changed(key string) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	rules := d.setting.Rules(d.follower.Found(key))
	if !equality.Semantic.DeepEqual(d.known, rules) {
		d.known = rules
		d.changes.Add(key)
	}
}

// Start has all tenants reconciled whenever the rules change.
func (d *ClusterDNS) Start(ctx context.Context, q queue) error {
	return noticed(&d.changes, d.tenants).Start(ctx, q)
}

// WaitForSync returns once it is known where the cluster's DNS is.
func (d *ClusterDNS) WaitForSync(ctx context.Context) error {
	if err := d.follower.Follow(ctx, dnsKey, d.setting.Queries()...); err != nil {
		return err
	}
	d.changed(dnsKey)
	return nil
}

func (r *Reconciler) allTenants(ctx context.Context, _ string) []reconcile.Request {
	tenants := &v1alpha1.TenantList{}
	if err := r.List(ctx, tenants, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Can't list the tenants")
		return nil
	}
	return requestsOf(tenants)
}
