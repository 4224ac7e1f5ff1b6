package tenant

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/budget"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/service"
	"github.com/tenantry/tenantry/test/builders"
)

// FuzzSecret fuzzes the Secret with the tenant's login, which owners can edit.
func FuzzSecret(f *testing.F) {
	const password = "Zk3vX9mQ2LrT8yB5nW7cH4jD6fG1sP0a"
	tenant := effective.Of(builders.Tenant("acme").Database("shared").Build())
	logins := database.Logins(database.Name(string(tenant.UID)))
	f.Add(logins[1], password, password, "2026-01-02T03:04:05Z", "7")
	f.Add("postgres", "'; DROP ROLE x", "", "9999999999-01-01", "\x00")
	f.Fuzz(func(t *testing.T, username, password, next, rotatedAt, request string) {
		phase := &databasePhase{in: &parts.Inputs{Tenant: tenant}, now: time.Unix(1e9, 0)}
		found := phase.credentialsIn(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{naming.AnnotationRotatedAt: rotatedAt, v1alpha1.AnnotationRotateCredentials: request}},
			Data: map[string][]byte{
				parts.SecretKeyUsername: []byte(username), parts.SecretKeyPassword: []byte(password), parts.SecretKeyNextPassword: []byte(next),
			},
		})
		if found.Active != 0 && username != logins[found.Active] {
			t.Errorf("the login is %d by %q", found.Active, username)
		}
		for _, taken := range []service.Sensitive{found.Password, found.Next} {
			if taken != "" && !service.IsGenerated(string(taken)) {
				t.Errorf("a password is taken that could be guessed, or needs quotes: %q", string(taken))
			}
		}
	})
}

// FuzzSlice fuzzes the note on a ResourceQuota, which is in a namespace of the tenant.
func FuzzSlice(f *testing.F) {
	f.Add(`{"holder":"a","used":{"pods":"1"}}`)
	f.Add(`{"used":{"pods":"1e999999999"}}`)
	f.Add(`{"used":{"pods":"-9223372036854775808"}}`)
	f.Add(`{"used":{"pods":"1e999999999999"}}`)
	f.Add(`{"used":{"pods":"1\u0065999999999999"}}`)
	f.Add(`[`)
	quantity := func(n int64) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourcePods: *resource.NewQuantity(n, resource.DecimalSI)}
	}
	total, granted := quantity(10), quantity(5)
	f.Fuzz(func(t *testing.T, note string) {
		slice, err := sliceOf(&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{naming.AnnotationSlice: note}}})
		if err != nil {
			return
		}
		slice.Granted, slice.Enforced, slice.Used, slice.Usable = granted, granted, quantity(1), true
		other := budget.Slice{Exists: true, Usable: true, Granted: granted, Enforced: granted, Used: quantity(5)}
		var sum resource.Quantity
		for _, grant := range budget.Plan(total, []budget.Slice{slice, other}, "me") {
			sum.Add(*grant.Hard.Pods())
			if _, err := noteText(grant.Note); err != nil {
				t.Error(err)
			}
		}
		if sum.Cmp(*total.Pods()) > 0 {
			t.Errorf("the slices add up to %s pods, of %s", &sum, total.Pods())
		}
	})
}
