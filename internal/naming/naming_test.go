package naming_test

import (
	"slices"
	"strings"
	"testing"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tenantry/tenantry/internal/naming"
)

// longest is the longest name that a Tenant or a DatabaseServer may have.
var longest = strings.Repeat("a", 63)

func TestAFinalizerSaysOnWhichServerATenantsDatabaseIs(t *testing.T) {
	for _, test := range []struct {
		name       string
		finalizers []string
		want       []string
	}{
		{"a tenant without a database", []string{naming.FinalizerTenant}, nil},
		{"a tenant with one", []string{naming.FinalizerTenant, naming.DatabaseFinalizer("shared-eu")}, []string{"shared-eu"}},
		{"two servers, in order", []string{naming.DatabaseFinalizer("b"), naming.DatabaseFinalizer("a")}, []string{"b", "a"}},
		{"the longest name", []string{naming.DatabaseFinalizer(longest)}, []string{longest}},
		{"finalizers of others", []string{"foregroundDeletion", "example.com/database.tenantry.dev"}, nil},
		{"none", nil, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := naming.DatabaseServers(test.finalizers); !slices.Equal(got, test.want) {
				t.Errorf("DatabaseServers(%q) = %q, want %q", test.finalizers, got, test.want)
			}
		})
	}
}

func TestTheAPIServerTakesTheFinalizers(t *testing.T) {
	for _, finalizer := range []string{naming.FinalizerTenant, naming.DatabaseFinalizer("a"), naming.DatabaseFinalizer(longest)} {
		if errs := apivalidation.ValidateFinalizerName(finalizer, field.NewPath("finalizers")); len(errs) > 0 {
			t.Error(errs)
		}
	}
}

func TestTheAPIServerTakesTheLabelsOfTheLongestTenantName(t *testing.T) {
	for _, set := range []map[string]string{naming.ManagedLabels(longest), naming.AppLabels(longest)} {
		if errs := metav1validation.ValidateLabels(set, field.NewPath("labels")); len(errs) > 0 {
			t.Error(errs)
		}
	}
	for _, annotation := range []string{naming.AnnotationDisplayName, naming.AnnotationSettings} {
		if errs := validation.IsQualifiedName(annotation); len(errs) > 0 {
			t.Error(annotation, errs)
		}
	}
}

func TestNamesOfObjectsAreDNSLabels(t *testing.T) {
	for _, name := range []string{
		naming.App, naming.AppConfig, naming.Quota, naming.ContainerLimits, naming.PolicyDenyAll, naming.PolicyAllowDNS,
		naming.PolicyAllowTenant, naming.PolicyAllowDatabase, naming.PolicyAllowSpec,
	} {
		if errs := validation.IsDNS1035Label(name); len(errs) > 0 {
			t.Error(name, errs)
		}
	}
	if errs := validation.IsValidPortName(naming.AppPort); len(errs) > 0 {
		t.Error(errs)
	}
}

func TestOneTenantsAppLabelsDoNotSelectAnotherTenantsPods(t *testing.T) {
	acme := labels.SelectorFromSet(naming.AppLabels("acme"))
	if !acme.Matches(labels.Set(naming.AppLabels("acme"))) {
		t.Error("acme's app is not selected by its own labels")
	}
	if acme.Matches(labels.Set(naming.AppLabels("globex"))) {
		t.Error("acme's labels select globex's app")
	}
	if acme.Matches(labels.Set(naming.ManagedLabels("acme"))) {
		t.Error("the app's labels select what is managed for the tenant but is not its app")
	}
}

func TestAServerOfATenantsOwnHasANameThatItsPartsCanBear(t *testing.T) {
	for _, tenant := range []string{"a", "acme", strings.Repeat("a", 40), strings.Repeat("a", 41), longest, strings.Repeat("a-", 31) + "a"} {
		server := naming.DedicatedServer(tenant)
		if problems := validation.IsDNS1123Label(server); len(problems) > 0 || len(server) > 50 {
			t.Errorf("DedicatedServer(%q) = %q: %v", tenant, server, problems)
		}
		if !strings.HasPrefix(naming.ServerHost(server), server+"-rw.tenantry-databases.svc") {
			t.Errorf("the host of %q is %q", server, naming.ServerHost(server))
		}
	}
	if naming.DedicatedServer(longest) == naming.DedicatedServer(longest[:62]) {
		t.Error("names that are cut are told apart by nothing")
	}
}
