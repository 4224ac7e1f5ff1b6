package tenant

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/test/builders"
)

func claiming(name string, age time.Duration, hostnames ...v1alpha1.HostnamePattern) *v1alpha1.Tenant {
	tenant := builders.Tenant(name).Policy(func(rules *v1alpha1.PolicyRules) { rules.Hostnames = hostnames }).Build()
	tenant.UID = types.UID("uid-of-" + name)
	tenant.CreationTimestamp = metav1.NewTime(time.Unix(1_000_000, 0).Add(-age))
	return tenant
}

func TestWhichWildcardsStandForAHostname(t *testing.T) {
	for hostname, want := range map[string][]string{
		"shop.acme.example":   {"*.acme.example", "*.example"},
		"*.shop.acme.example": {"*.acme.example", "*.example"},
		"*.example":           nil,
		"localhost":           nil,
	} {
		if got := above(hostname); !slices.Equal(got, want) {
			t.Errorf("for %s stand %v, want %v", hostname, got, want)
		}
	}
}

func TestWhoHasAHostname(t *testing.T) {
	for _, test := range []struct {
		name   string
		mine   []v1alpha1.HostnamePattern
		others []*v1alpha1.Tenant
		want   []string
	}{
		{"alone", []v1alpha1.HostnamePattern{"a.example"}, nil, nil},
		{"beside each other", []v1alpha1.HostnamePattern{"a.example", "*.b.example"}, []*v1alpha1.Tenant{claiming("x", time.Hour, "b.example", "aa.example", "*.bb.example")}, nil},
		{"the same", []v1alpha1.HostnamePattern{"a.example"}, []*v1alpha1.Tenant{claiming("x", time.Hour, "a.example")}, []string{`a.example (Tenant "x")`}},
		{"the same wildcard", []v1alpha1.HostnamePattern{"*.a.example"}, []*v1alpha1.Tenant{claiming("x", time.Hour, "*.a.example")}, []string{`*.a.example (Tenant "x")`}},
		{"below an older wildcard", []v1alpha1.HostnamePattern{"a.b.c.example"}, []*v1alpha1.Tenant{claiming("x", time.Hour, "*.c.example")}, []string{`a.b.c.example (Tenant "x")`}},
		{"a wildcard below an older one", []v1alpha1.HostnamePattern{"*.b.c.example"}, []*v1alpha1.Tenant{claiming("x", time.Hour, "*.c.example")}, []string{`*.b.c.example (Tenant "x")`}},
		{"a wildcard over an older name", []v1alpha1.HostnamePattern{"*.c.example"}, []*v1alpha1.Tenant{claiming("x", time.Hour, "a.b.c.example")}, []string{`*.c.example (Tenant "x")`}},
		{"a younger one", []v1alpha1.HostnamePattern{"a.example"}, []*v1alpha1.Tenant{claiming("x", -time.Hour, "a.example")}, nil},
		{"one of the same second and a lower UID", []v1alpha1.HostnamePattern{"a.example"}, []*v1alpha1.Tenant{claiming("aaa", 0, "a.example")}, []string{`a.example (Tenant "aaa")`}},
		{"one of the same second and a higher UID", []v1alpha1.HostnamePattern{"a.example"}, []*v1alpha1.Tenant{claiming("zzz", 0, "a.example")}, nil},
		{
			"one of several", []v1alpha1.HostnamePattern{"a.example", "b.example"},
			[]*v1alpha1.Tenant{claiming("y", time.Hour, "b.example"), claiming("x", -time.Hour, "a.example")},
			[]string{`b.example (Tenant "y")`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			me := claiming("me", 0, test.mine...)
			run := &pass{inputs: parts.Inputs{Tenant: effective.Of(me)}}
			if err := among(t, append(test.others, me)...).loadHostnames(t.Context(), run); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(run.network.foreignHostnames, test.want) || len(run.inputs.ForeignHostnames) != len(test.want) {
				t.Errorf("of others are %v (%v), want %v", run.network.foreignHostnames, run.inputs.ForeignHostnames, test.want)
			}
		})
	}
}

func TestAHostnameOfAnotherTenantStallsTheNetworkAlone(t *testing.T) {
	if err := hostnameConflict(nil); err != nil {
		t.Errorf("without any it is %v", err)
	}
	run := &findings{problems: map[string]problem.Problem{}}
	run.record(parts.Network, hostnameConflict([]string{`a.example (Tenant "x")`}))
	found := run.problems[v1alpha1.ConditionNetworkReady]
	if !found.Stalled || found.Reason != v1alpha1.ReasonConflict || !strings.Contains(found.Message, `a.example (Tenant "x")`) {
		t.Errorf("the problem is %+v", found)
	}
	if run.blocked() || run.retry != problem.OnChange || run.err != nil {
		t.Error("it holds up the other parts, or is tried again without need")
	}
}

func TestWhenTheOtherTenantsOfAHostnameAreLookedAt(t *testing.T) {
	tenant := claiming("me", time.Hour, "a.example")
	for _, test := range []struct {
		name   string
		change func(*v1alpha1.Tenant)
		want   bool
	}{
		{"nothing changed", func(*v1alpha1.Tenant) {}, false},
		{"it was let go", func(is *v1alpha1.Tenant) { is.Spec.Policy.Hostnames = nil }, true},
		{"another one has taken the tenant's place, with the same hostnames", func(is *v1alpha1.Tenant) { is.UID = "another" }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := among(t, tenant.DeepCopy(), claiming("x", 0, "a.example"))
			got := enqueued(t, func(q queue) { r.neighborUpdated(t.Context(), updated(tenant, test.change), q) })
			if _, found := got["x"]; found != test.want {
				t.Errorf("the other tenants that are looked at are %v", got)
			}
		})
	}
}

// among returns a reconciler that sees these tenants.
func among(t *testing.T, tenants ...*v1alpha1.Tenant) *Reconciler {
	t.Helper()
	if err := v1alpha1.AddToScheme(clientgoscheme.Scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().
		WithIndex(&v1alpha1.Tenant{}, indexHostname, func(object client.Object) []string { return hostnamesOf(effective.Of(object.(*v1alpha1.Tenant))) }).
		WithIndex(&v1alpha1.Tenant{}, indexHostnameBelow, func(object client.Object) []string { return wildcardsOver(effective.Of(object.(*v1alpha1.Tenant))) })
	for _, tenant := range tenants {
		builder = builder.WithObjects(tenant)
	}
	return &Reconciler{Client: builder.Build()}
}
