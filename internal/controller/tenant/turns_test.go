package tenant

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/retry"
	"github.com/tenantry/tenantry/test/builders"
)

// busy begins as many other tenants as may be provisioned concurrently, lets others wait, and then reconciles one
// tenant. Its client knows only Tenants, so a pass that isn't stopped fails as soon as it reads anything else.
func busy(t *testing.T, tenant *v1alpha1.Tenant, waiting ...types.UID) (f *fleet.Fleet, begun []types.UID, err error) {
	t.Helper()
	tenant.UID = "acme"
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(tenant).WithStatusSubresource(tenant).Build()
	r := &Reconciler{Client: c, Live: c, Fleet: &fleet.Fleet{}, Recorder: events.NewFakeRecorder(1), retries: retry.New(c, c)}
	probe := &fleet.Fleet{}
	for n := 0; probe.Provisioning.Begin("", types.UID(fmt.Sprint(n))); n++ {
		begun = append(begun, types.UID(fmt.Sprint(n)))
	}
	for _, uid := range slices.Concat(begun, waiting) {
		r.Fleet.Provisioning.Begin(string(uid), uid)
	}
	_, err = r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(tenant)})
	return r.Fleet, begun, err
}

func TestANewTenantWaitsForItsTurn(t *testing.T) {
	f, begun, err := busy(t, builders.Tenant("acme").Build())
	if err != nil {
		t.Fatalf("it is begun beside %d others: %v", len(begun), err)
	}
	f.StatusWritten(begun[0], time.Now())
	if turns := f.Provisioning.Turns.Take(); len(turns) != 1 || turns[0] != "acme" {
		t.Errorf("after another one's status was written it is the turn of %v", turns)
	}
}

func TestATenantThatWasBegunGoesOn(t *testing.T) {
	tenant := builders.Tenant("acme").Finalizers(naming.FinalizerTenant).Build()
	if _, begun, err := busy(t, tenant); err == nil {
		t.Errorf("it waits for %d others", len(begun))
	}
}

func TestATenantThatIsDeletedBeforeItsTurnHoldsUpNoOther(t *testing.T) {
	tenant := builders.Tenant("acme").Finalizers("example.com/backup").Build()
	tenant.DeletionTimestamp = new(metav1.Now())
	f, begun, err := busy(t, tenant, "acme", "globex")
	if err != nil {
		t.Fatal(err)
	}
	f.StatusWritten(begun[0], time.Now())
	if turns := f.Provisioning.Turns.Take(); len(turns) != 1 || turns[0] != "globex" {
		t.Errorf("after another one's status was written it is the turn of %v", turns)
	}
}
