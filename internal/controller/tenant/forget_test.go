package tenant

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/retry"
)

// emptyCluster has no objects.
func emptyCluster(t *testing.T) client.Client {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), rbacv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithIndex(&rbacv1.RoleBinding{}, indexHeld, heldFor).Build()
}

func TestATenantThatWasRemovedWithoutTheOperatorIsForgotten(t *testing.T) {
	r := &Reconciler{Client: emptyCluster(t), Fleet: &fleet.Fleet{}, retries: retry.New(nil, nil)}
	r.Fleet.SawTenant("acme", "1")
	r.Fleet.Placements.Put("1", &v1alpha1.TenantDatabaseStatus{Server: "shared"})
	request := ctrl.Request{}
	request.Name = "acme"
	if _, err := r.Reconcile(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if at := r.Fleet.Placements.Of("1", nil); at != nil {
		t.Errorf("its database is still known to be at %v", at)
	}
}

func TestAllNoticesAreDelivered(t *testing.T) {
	const many = 10_000
	synctest.Test(t, func(t *testing.T) {
		var notices fleet.Notices
		for n := range many {
			notices.Add(fmt.Sprint(n))
		}
		q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
		if err := noticed(&notices, byName).Start(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		notices.Add("another")
		synctest.Wait()
		if got := q.Len(); got != many+1 {
			t.Errorf("%d tenants are looked at, want %d", got, many+1)
		}
		q.ShutDown()
	})
}

func TestAPassThatWasOutdatedIsRepeated(t *testing.T) {
	conflict := apierrors.NewConflict(schema.GroupResource{Resource: "tenants"}, "acme", errors.New("the object has been modified"))
	r := &Reconciler{retries: retry.New(nil, nil)}
	result, err := r.reportFailure(t.Context(), &effective.Tenant{}, fmt.Errorf("write the finalizers: %w", conflict))
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
		t.Errorf("after a conflict it is repeated after %v, with the error %v", result.RequeueAfter, err)
	}
}
