package databaseserver

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/database/postgres"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/retry"
	"github.com/tenantry/tenantry/test/builders"
)

// passTime is the time that a pass has.
const passTime = 2 * time.Minute

// scheme knows the operator's own kinds.
var scheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	return scheme
}()

// stuck waits for the end of the pass, like a request that gets no answer.
func stuck(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// patchUnlessEnded makes a fake client behave like a real one, which sends no request once its context has ended.
func patchUnlessEnded(ctx context.Context, c client.Client, subresource string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return c.SubResource(subresource).Patch(ctx, object, patch, options...)
}

func TestAPassOverAServerWhoseTimeIsUpSaysSo(t *testing.T) {
	server := builders.DatabaseServer("shared", "pg.example").Build()
	server.Finalizers, server.DeletionTimestamp = []string{naming.FinalizerServer}, new(metav1.NewTime(time.Unix(1, 0)))
	synctest.Test(t, func(t *testing.T) {
		cluster := fake.NewClientBuilder().WithScheme(scheme).
			WithIndex(&v1alpha1.Tenant{}, naming.IndexPlaced, func(client.Object) []string { return nil }).
			WithStatusSubresource(server).WithObjects(server).
			WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: patchUnlessEnded}).Build()
		live := interceptor.NewClient(cluster, interceptor.Funcs{Get: func(ctx context.Context, _ client.WithWatch, _ client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
			return stuck(ctx)
		}})
		ctx, cancel := context.WithTimeout(t.Context(), passTime)
		defer cancel()
		r := &Reconciler{Client: cluster, Live: live, Recorder: events.NewFakeRecorder(100), Fleet: &fleet.Fleet{}, retries: retry.New(cluster, live), services: newHostServices(nil)}
		if _, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(server)}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it is not tried again with backoff: %v", err)
		}
		if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(server), server); err != nil {
			t.Fatal(err)
		}
		ready := ptr.Deref(apimeta.FindStatusCondition(server.Status.Conditions, v1alpha1.ConditionReady), metav1.Condition{})
		if ready.Reason != v1alpha1.ReasonFailed || !strings.Contains(ready.Message, "took too long") {
			t.Errorf("Ready says %+v", ready)
		}
	})
}

func TestADatabaseServerThatWasRemovedWithoutTheOperatorIsForgotten(t *testing.T) {
	databases := &postgres.Servers{}
	defer databases.Close()
	r := &Reconciler{Client: fake.NewClientBuilder().WithScheme(scheme).Build(), Databases: databases, Fleet: &fleet.Fleet{}, retries: retry.New(nil, nil), services: newHostServices(nil)}
	server := builders.DatabaseServer("shared", "pg.example").Build()
	r.Fleet.SawServer(server.Name, server.UID)
	r.Fleet.Connections.Put(server, database.Server{})
	request := ctrl.Request{}
	request.Name = server.Name
	if _, err := r.Reconcile(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	if _, found := r.Fleet.Connections.To(server); found {
		t.Error("it is still known how to reach it")
	}
}
