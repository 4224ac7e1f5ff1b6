package tenant

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/apply"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/retry"
	"github.com/tenantry/tenantry/test/builders"
)

// passTime is the time that a pass has.
const passTime = 2 * time.Minute

// unlessOver makes a fake client behave like a real one, which sends no request once its context has ended. The
// given hooks come first.
func unlessOver(hooks interceptor.Funcs) interceptor.Funcs {
	funcs := interceptor.Funcs{
		Get: hooks.Get,
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if hooks.Create != nil {
				if err := hooks.Create(ctx, c, object, options...); err != nil {
					return err
				}
			}
			return unlessEnded(ctx, func() error { return c.Create(ctx, object, options...) })
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			if hooks.Update != nil {
				if err := hooks.Update(ctx, c, object, options...); err != nil {
					return err
				}
			}
			return unlessEnded(ctx, func() error { return c.Update(ctx, object, options...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			if hooks.Delete != nil {
				if err := hooks.Delete(ctx, c, object, options...); err != nil {
					return err
				}
			}
			return unlessEnded(ctx, func() error { return c.Delete(ctx, object, options...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, subresource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			return unlessEnded(ctx, func() error { return c.SubResource(subresource).Patch(ctx, object, patch, options...) })
		},
	}
	return funcs
}

func unlessEnded(ctx context.Context, send func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return send()
}

// on returns a client of a cluster with these objects and with the indexes of the cache.
func on(t *testing.T, hooks interceptor.Funcs, objects ...client.Object) client.WithWatch {
	t.Helper()
	if err := v1alpha1.AddToScheme(clientgoscheme.Scheme); err != nil {
		t.Fatal(err)
	}
	tenants := func(values func(*effective.Tenant) []string) client.IndexerFunc {
		return func(object client.Object) []string { return values(effective.Of(object.(*v1alpha1.Tenant))) }
	}
	return fake.NewClientBuilder().
		WithIndex(&v1alpha1.Tenant{}, indexHostname, tenants(hostnamesOf)).
		WithIndex(&v1alpha1.Tenant{}, indexHostnameBelow, tenants(wildcardsOver)).
		WithIndex(&v1alpha1.Tenant{}, naming.IndexPlaced, tenants(serversPlacedOn)).
		WithIndex(&corev1.Namespace{}, indexLabel, labelOf).
		WithIndex(&corev1.Namespace{}, indexController, controllerOf).
		WithIndex(&corev1.ResourceQuota{}, indexLabel, labelOf).
		WithIndex(&rbacv1.RoleBinding{}, indexHeld, heldFor).
		WithStatusSubresource(&v1alpha1.Tenant{}, &v1alpha1.DatabaseServer{}, &corev1.ResourceQuota{}).
		WithReturnManagedFields().
		WithObjects(objects...).WithInterceptorFuncs(unlessOver(hooks)).Build()
}

// tenantsOn returns a reconciler of Tenants on a cluster.
func tenantsOn(cluster client.WithWatch) *Reconciler {
	return &Reconciler{
		Client: cluster, Live: cluster, Engine: apply.New(cluster, cluster, naming.FieldOwner),
		Fleet: &fleet.Fleet{}, Recorder: events.NewFakeRecorder(100), retries: retry.New(cluster, cluster),
	}
}

// stuck waits for the end of the pass, like a request that gets no answer.
func stuck(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// conditionOf returns a condition of a stored tenant; an empty one if it has none.
func conditionOf(t *testing.T, c client.Client, object client.Object, kind string) metav1.Condition {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	var conditions []metav1.Condition
	switch object := object.(type) {
	case *v1alpha1.Tenant:
		conditions = object.Status.Conditions
	case *v1alpha1.DatabaseServer:
		conditions = object.Status.Conditions
	}
	if found := apimeta.FindStatusCondition(conditions, kind); found != nil {
		return *found
	}
	return metav1.Condition{}
}

func TestAPassWhoseTimeIsUpSaysSo(t *testing.T) {
	acme := func() *v1alpha1.Tenant {
		return builders.Stored(t, builders.Tenant("acme").Finalizers(naming.FinalizerTenant).Build())
	}
	owned := func(tenant *v1alpha1.Tenant) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: tenant.Name, Labels: naming.ManagedLabels(tenant.Name), UID: "namespace",
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(tenant, v1alpha1.GroupVersion.WithKind("Tenant"))},
		}}
	}
	deleted := acme()
	withDatabase := builders.Stored(t, builders.Tenant("acme").Finalizers(naming.FinalizerTenant).Database("shared").Build())
	deleted.DeletionTimestamp = new(metav1.NewTime(time.Unix(1, 0)))
	for _, test := range []struct {
		name    string
		objects []client.Object // The first is the one that is looked at.
		hooks   interceptor.Funcs
		reason  string
	}{
		{
			"over the objects of a tenant", []client.Object{acme()},
			interceptor.Funcs{Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
				return stuck(ctx)
			}},
			v1alpha1.ReasonFailed,
		},
		{
			"over the reading of what a tenant has", []client.Object{withDatabase, builders.DatabaseServer("shared", "pg.example").Build()},
			interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
				if _, isServer := object.(*v1alpha1.DatabaseServer); isServer {
					return stuck(ctx)
				}
				return c.Get(ctx, key, object, options...)
			}},
			v1alpha1.ReasonFailed,
		},
		{
			"over the deletion of a tenant", []client.Object{deleted, owned(deleted)},
			interceptor.Funcs{Delete: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.DeleteOption) error {
				return stuck(ctx)
			}},
			v1alpha1.ReasonTerminating,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := on(t, test.hooks, test.objects...)
				ctx, cancel := context.WithTimeout(t.Context(), passTime)
				defer cancel()
				request := ctrl.Request{NamespacedName: client.ObjectKeyFromObject(test.objects[0])}
				_, err := tenantsOn(cluster).Reconcile(ctx, request)
				if ctx.Err() == nil {
					t.Fatal("its time is not up")
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("it is not tried again with backoff: %v", err)
				}
				ready := conditionOf(t, cluster, test.objects[0], v1alpha1.ConditionReady)
				if ready.Status != metav1.ConditionFalse || ready.Reason != test.reason || !strings.Contains(ready.Message, "took too long") {
					t.Errorf("Ready says %+v", ready)
				}
			})
		})
	}
}

func TestThatTheOperatorEndsIsNoNewsOfATenant(t *testing.T) {
	tenant := builders.Stored(t, builders.Tenant("acme").Finalizers(naming.FinalizerTenant).Build())
	ctx, cancel := context.WithCancel(t.Context())
	cluster := on(t, interceptor.Funcs{Create: func(ctx context.Context, _ client.WithWatch, _ client.Object, _ ...client.CreateOption) error {
		cancel()
		return ctx.Err()
	}}, tenant)
	if _, err := tenantsOn(cluster).Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(tenant)}); err == nil {
		t.Error("the pass has ended as if it were complete")
	}
	if ready := conditionOf(t, cluster, tenant, v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonPending {
		t.Errorf("Ready says %+v", ready)
	}
}

func TestAnObjectThatKeepsChangingIsTriedLessOftenAndNamed(t *testing.T) {
	synctest.Test(t, testAnObjectThatKeepsChanging)
}

func testAnObjectThatKeepsChanging(t *testing.T) {
	t.Helper()
	tenant := builders.Stored(t, builders.Tenant("acme").Finalizers(naming.FinalizerTenant).Quota(corev1.ResourcePods, "10").Build())
	busy := true
	cluster := on(t, interceptor.Funcs{Update: func(_ context.Context, _ client.WithWatch, object client.Object, _ ...client.UpdateOption) error {
		if _, isQuota := object.(*corev1.ResourceQuota); isQuota && busy {
			return apierrors.NewConflict(schema.GroupResource{Resource: "resourcequotas"}, object.GetName(), errors.New("the object has been modified"))
		}
		return nil
	}}, tenant)
	theirs := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{
		Namespace: "acme", Name: naming.Quota, Labels: naming.ManagedLabels("acme"),
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(tenant, v1alpha1.GroupVersion.WithKind("Tenant"))},
	}}
	if err := cluster.Create(t.Context(), theirs, client.FieldOwner("quota-syncer")); err != nil {
		t.Fatal(err)
	}
	theirs.Status.Hard = tenant.Spec.Quota
	if err := cluster.Status().Update(t.Context(), theirs, client.FieldOwner("quota-syncer")); err != nil {
		t.Fatal(err)
	}
	r := tenantsOn(cluster)
	pass := func() time.Duration {
		result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(tenant)})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(result.RequeueAfter)
		return result.RequeueAfter
	}

	wait := 5 * time.Millisecond
	for range retry.TooOften {
		if got := pass(); got != wait {
			t.Errorf("it is tried again after %s, want %s", got, wait)
		}
		wait *= 2
		if ready := conditionOf(t, cluster, tenant, v1alpha1.ConditionReady); ready.Reason != v1alpha1.ReasonPending {
			t.Fatalf("Ready says already %+v", ready)
		}
	}
	for range 2 {
		if got := pass(); got != wait {
			t.Errorf("it is tried again after %s, want %s", got, wait)
		}
		wait *= 2
		quota := conditionOf(t, cluster, tenant, v1alpha1.ConditionQuotaReady)
		if quota.Reason != v1alpha1.ReasonFailed || !strings.Contains(quota.Message, `ResourceQuota "tenant" in namespace "acme" keeps changing`) || !strings.Contains(quota.Message, `It was last changed by "quota-syncer"`) {
			t.Errorf("QuotaReady says %+v", quota)
		}
		if network := conditionOf(t, cluster, tenant, v1alpha1.ConditionNetworkReady); network.Status != metav1.ConditionTrue {
			t.Errorf("what has nothing to do with it waits: %+v", network)
		}
	}

	busy = false
	if got := pass(); got != 0 || r.retries.Rounds("acme") != 0 {
		t.Errorf("once it is over, it waits %s after %d rounds", got, r.retries.Rounds("acme"))
	}
	if ready := conditionOf(t, cluster, tenant, v1alpha1.ConditionReady); ready.Status != metav1.ConditionTrue {
		t.Errorf("once it is over, Ready says %+v", ready)
	}
}
