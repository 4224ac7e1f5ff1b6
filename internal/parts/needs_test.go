package parts_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

// The quota must have room for any kind of object that a part gets.
func TestTheOperatorsNeedsAreAllItsObjects(t *testing.T) {
	for _, unplaced := range []bool{false, true} {
		in := everything(t, "acme")
		in.Tenant.Spec.Namespaces = v1alpha1.TenantNamespaces{Limit: 3, AllowedNames: []v1alpha1.NamespacePattern{"shop-*"}}
		in.Listing = []v1alpha1.TenantNamespace{{Name: "acme"}, {Name: "acme-dev"}, {Name: "acme-over"}}
		in.Places = []parts.Place{{Name: "acme", Usable: true}, {Name: "acme-dev", Usable: true}, {Name: "acme-over"}}
		want := map[string]map[corev1.ResourceName]int64{}
		add := func(namespace string, name corev1.ResourceName) {
			if want[namespace] == nil {
				want[namespace] = map[corev1.ResourceName]int64{}
			}
			want[namespace][name]++
			in.Tenant.Spec.Quota[name] = resource.MustParse("100")
		}
		for _, place := range in.Places { // Kubernetes' own
			add(place.Name, "count/configmaps")
			add(place.Name, "count/serviceaccounts")
		}
		for _, object := range all(in) {
			gvk, err := apiutil.GVKForObject(object, scheme)
			if err != nil {
				t.Fatal(err)
			}
			plural, _ := apimeta.UnsafeGuessKindToResource(gvk)
			if object.GetNamespace() != "" {
				add(object.GetNamespace(), corev1.ResourceName("count/"+plural.GroupResource().String()))
			}
		}
		if unplaced { // Before the database is placed, room is kept for what it brings.
			in.Server, in.Login = nil, nil
		}
		got := map[string]map[corev1.ResourceName]int64{}
		for namespace, list := range parts.Needs(in) {
			got[namespace] = map[corev1.ResourceName]int64{}
			for name, number := range list {
				got[namespace][name] = number.Value()
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the needs are\n%v\nwant\n%v", got, want)
		}
	}
}

func TestNeedsAreOfWhatTheQuotaCounts(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").App(image).Port(8080).Quota("services", "5").Quota("configmaps", "5").Quota("pods", "5").Quota("count/services.serving.knative.dev", "0"))
	needs := parts.Needs(in)["acme"]
	if got := fmt.Sprint(amounts(needs)); got != "map[configmaps:2 services:1]" {
		t.Errorf("the needs are %s", got)
	}
}

// Nobody else asks for room for them: what moves a budget is the refusal of a pod.
func TestNeedsIncludeTheStorageOfTheApp(t *testing.T) {
	for quota, want := range map[corev1.ResourceName]string{
		"persistentvolumeclaims": "map[persistentvolumeclaims:1]", "requests.storage": "map[requests.storage:1Gi]", "pods": "map[]",
	} {
		in := inputsOf(t, furnished(builders.Tenant("acme").App(image).Port(8080)).Quota(quota, "100Gi"))
		if got := fmt.Sprint(amounts(parts.Needs(in)["acme"])); got != want {
			t.Errorf("of %s the needs are %s, want %s", quota, got, want)
		}
	}
}
