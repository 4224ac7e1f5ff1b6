package parts_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/diff"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/test/builders"
)

const image = "registry.example/acme/shop:1.4.2"

// scheme knows all kinds of objects.
var scheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	utilruntime.Must(gatewayv1.Install(scheme))
	return scheme
}()

// longest is the longest name that a Tenant may have.
var longest = strings.Repeat("a", 63)

// inputsOf returns the inputs of a tenant without a database.
func inputsOf(t *testing.T, tenant *builders.TenantBuilder) parts.Inputs {
	t.Helper()
	return parts.Inputs{Tenant: builders.Effective(t, tenant.Build())}
}

// withDatabase returns the inputs of a tenant with its database on the server.
func withDatabase(t *testing.T, tenant *builders.TenantBuilder, server *builders.DatabaseServerBuilder) parts.Inputs {
	t.Helper()
	in := inputsOf(t, tenant)
	in.Server = builders.Stored(t, server.Build())
	in.Login = &parts.Login{
		Database: "t_brewsrmdqcfqkxdoaomm", Schema: "public", Username: "t_brewsrmdqcfqkxdoaomm_0", Password: "Zk3vX9mQ2LrT8yB5nW7cH4jD6fG1sP0a",
	}
	return in
}

// server returns a DatabaseServer that answers.
func server() *builders.DatabaseServerBuilder {
	return builders.DatabaseServer("shared", "pg.example").Addresses("192.0.2.10")
}

// everything returns the inputs of a tenant with this name that uses all features.
func everything(t *testing.T, name string) parts.Inputs {
	t.Helper()
	in := withDatabase(t, builders.Tenant(name).DisplayName("Acme Corp").
		Owner(v1alpha1.OwnerKindUser, "alice@acme.example", v1alpha1.OwnerRoleAdmin).
		Owner(v1alpha1.OwnerKindGroup, "acme-devs", v1alpha1.OwnerRoleEditor).
		ServiceAccountOwner("ci", "deployer", v1alpha1.OwnerRoleEditor).
		Owner(v1alpha1.OwnerKindGroup, "auditors", v1alpha1.OwnerRoleViewer).
		Quota(corev1.ResourceRequestsCPU, "8").Quota(corev1.ResourcePods, "50").
		ContainerMax(corev1.ResourceCPU, "4").
		Ingress(networkingv1.NetworkPolicyIngressRule{From: podsOfAnyTenant()}).
		Egress(networkingv1.NetworkPolicyEgressRule{To: podsOfAnyTenant()}).
		Config("LOG_LEVEL", "info").Config("feature.new-checkout", "true").
		Database("shared").
		App(image).Replicas(3).Port(8080).Command("/shop", "--verbose").Env("GREETING", "hello").EnvFromConfigMap("more").
		Request(corev1.ResourceCPU, "100m").Limit(corev1.ResourceMemory, "256Mi").
		Expose(func(expose *v1alpha1.AppExposure) { expose.TLS = &v1alpha1.AppCertificate{} }, "shop.acme.example", "*.acme.example").
		Probes(probe(), probe(), probe()).
		Worker("mail", 2, "/worker").Schedule("bill", "0 3 * * *", "/bill"),
		server().CASecret("tenantry-system", "shared-ca", "ca.crt").CABundle("-----BEGIN CERTIFICATE-----"))
	in.Entrance = class(map[string]string{"tenantry.dev/network-peers": "ingress"})
	return withCopies(in)
}

func podsOfAnyTenant() []networkingv1.NetworkPolicyPeer {
	return []networkingv1.NetworkPolicyPeer{{NamespaceSelector: labelExists(naming.LabelTenant)}}
}

func probe() *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
		Path: "/healthz", Port: portNamed(naming.AppPort),
	}}}
}

// all returns the objects of all parts.
func all(in parts.Inputs) []desired.Object {
	var objects []desired.Object
	for _, part := range parts.All {
		objects = append(objects, part.Objects(in)...)
	}
	return objects
}

func kindOf(t *testing.T, object desired.Object) string {
	t.Helper()
	gvk, err := apiutil.GVKForObject(object, scheme)
	if err != nil {
		t.Fatal(err)
	}
	return gvk.Kind
}

// list returns the kinds and names of objects.
func list(t *testing.T, objects []desired.Object) []string {
	t.Helper()
	var names []string
	for _, object := range objects {
		names = append(names, kindOf(t, object)+" "+object.GetName())
	}
	return names
}

// find returns the only object of the type that a part has.
func find[T desired.Object](t *testing.T, part *parts.Part, in parts.Inputs) T {
	t.Helper()
	return findNamed[T](t, part, in, "")
}

// findNamed returns the only object of the type and name that a part has.
func findNamed[T desired.Object](t *testing.T, part *parts.Part, in parts.Inputs, name string) T {
	t.Helper()
	var found []T
	for _, object := range part.Objects(in) {
		if object, ok := object.(T); ok && (name == "" || object.GetName() == name) {
			found = append(found, object)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%s has %d objects of type %s and name %q, not one", part, len(found), reflect.TypeFor[T](), name)
	}
	return found[0]
}

func TestTheObjectsOfATenant(t *testing.T) {
	bare := []string{
		"Namespace acme", "TenantPolicy tenant", "LimitRange containers",
		"NetworkPolicy deny-all", "NetworkPolicy allow-dns", "NetworkPolicy allow-tenant",
	}
	for _, test := range []struct {
		name string
		in   parts.Inputs
		want []string
	}{
		{"a name alone: walls, and nothing behind them", inputsOf(t, builders.Tenant("acme")), bare},
		{
			"everything", everything(t, "acme"),
			[]string{
				"Namespace acme", "TenantPolicy tenant", "ResourceQuota tenant", "LimitRange containers",
				"NetworkPolicy deny-all", "NetworkPolicy allow-dns", "NetworkPolicy allow-tenant", "NetworkPolicy allow-database",
				"NetworkPolicy allow-spec", "NetworkPolicy allow-ingress", "RoleBinding tenant-admin", "RoleBinding tenant-editor", "RoleBinding tenant-viewer",
				"Secret database", "Secret registry-login", "ConfigMap roots", "ServiceAccount app", "ConfigMap app-config", "Service app", "PodDisruptionBudget app", "Deployment app",
				"Deployment mail", "CronJob bill", "Ingress app",
			},
		},
		{
			"an app that listens on no port has no Service",
			inputsOf(t, builders.Tenant("acme").App(image).Replicas(2)),
			append(slices.Clone(bare), "ServiceAccount app", "ConfigMap app-config", "PodDisruptionBudget app", "Deployment app"),
		},
		{
			"an app of one replica has no PodDisruptionBudget, which could only keep nodes from being drained",
			inputsOf(t, builders.Tenant("acme").App(image).Port(8080)),
			append(slices.Clone(bare), "ServiceAccount app", "ConfigMap app-config", "Service app", "Deployment app"),
		},
		{
			"an app of zero replicas keeps all but its pods",
			inputsOf(t, builders.Tenant("acme").App(image).Port(8080).Replicas(0)),
			append(slices.Clone(bare), "ServiceAccount app", "ConfigMap app-config", "Service app", "Deployment app"),
		},
		{
			"a database without an app",
			withDatabase(t, builders.Tenant("acme").Database("shared").DatabaseSecret("login"), server()),
			slices.Concat(bare, []string{"NetworkPolicy allow-database", "Secret login"}),
		},
		{
			"a database whose server does not exist",
			inputsOf(t, builders.Tenant("acme").Database("nowhere")), bare,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := list(t, all(test.in)); !slices.Equal(got, test.want) {
				t.Errorf("the objects are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestEachObjectIsInTheTenantsNamespaceAndLabeled(t *testing.T) {
	want := map[string]string{"app.kubernetes.io/managed-by": "tenantry", "tenantry.dev/tenant": "acme"}
	for _, object := range all(everything(t, "acme")) {
		name := kindOf(t, object) + " " + object.GetName()
		namespace := "acme"
		labels := maps.Clone(object.GetLabels())
		if _, isNamespace := object.(*corev1.Namespace); isNamespace {
			namespace = ""
			maps.DeleteFunc(labels, func(key, _ string) bool {
				return strings.HasPrefix(key, "pod-security.kubernetes.io/") || key == "tenantry.dev/usable"
			})
		}
		if object.GetNamespace() != namespace {
			t.Errorf("%s is in namespace %q, want %q", name, object.GetNamespace(), namespace)
		}
		if !maps.Equal(labels, want) {
			t.Errorf("%s has the labels %v, want %v", name, labels, want)
		}
	}
}

func TestNoTwoObjectsHaveTheSameName(t *testing.T) {
	names := list(t, all(everything(t, "acme")))
	if unique := slices.Compact(slices.Sorted(slices.Values(names))); len(unique) != len(names) {
		t.Errorf("among %v, some are the same", names)
	}
}

func TestEachPartTellsOfAllKindsOfItsObjects(t *testing.T) {
	in := everything(t, "acme")
	in.Listing = []v1alpha1.TenantNamespace{{Name: "acme", State: v1alpha1.NamespaceUsable}}
	in.Tenant.Spec.Namespaces = v1alpha1.TenantNamespaces{Limit: 2, AllowedNames: []v1alpha1.NamespacePattern{"shop-*"}}
	w := released(t)
	w.write(in.Tenant)
	w.Tenant.Spec.App.Migration = &v1alpha1.AppMigration{Command: []string{"/migrate"}}
	in.Tenant, in.Release = parts.ReleaseOf(w.Migrating)
	in.Tenant.Spec.App.Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: 5}
	for _, part := range parts.All {
		told, found := sets.New[string](), sets.New[string]()
		for _, kind := range part.Kinds {
			told.Insert(kindOf(t, kind))
		}
		for _, object := range part.Objects(in) {
			if object.GetNamespace() != "" {
				found.Insert(kindOf(t, object))
			}
		}
		if !told.Equal(found) {
			t.Errorf("%s tells of %v, and has %v", part, sets.List(told), sets.List(found))
		}
	}
}

func TestKindsThatSeveralPartsHaveComeOnce(t *testing.T) {
	names := sets.New[string]()
	for _, kind := range parts.Kinds() {
		if name := kindOf(t, kind); names.Has(name) {
			t.Errorf("%s comes twice", name)
		} else {
			names.Insert(name)
		}
	}
	if !names.HasAll("ConfigMap", "Secret", "Deployment", "TenantPolicy") || names.HasAny("HTTPRoute", "PersistentVolumeClaim") {
		t.Errorf("they are %v", sets.List(names))
	}
	if all := parts.AllKinds(); len(all) != len(names)+2 {
		t.Errorf("all kinds are %v", all)
	}
}

func TestTheSameInputsGiveTheSameObjectsAndStayAsTheyAre(t *testing.T) {
	in, before := everything(t, "acme"), everything(t, "acme")
	first := all(in)
	for range 20 {
		for i, object := range all(in) {
			if !reflect.DeepEqual(object, first[i]) {
				t.Fatalf("%s comes out differently the next time:\n%s", list(t, first)[i], diff.Diff(first[i], object))
			}
		}
	}
	if !reflect.DeepEqual(in, before) {
		t.Errorf("the inputs were changed:\n%s", diff.Diff(before, in))
	}
}

func TestTheAPIServerTakesEachObject(t *testing.T) {
	for _, test := range []struct {
		name string
		in   parts.Inputs
	}{
		{"a name alone", inputsOf(t, builders.Tenant("acme"))},
		{"everything", everything(t, "acme")},
		{"everything, at the longest name", everything(t, longest)},
		{"everything in its pods", inputsOf(t, furnished(builders.Tenant("acme").App(image).Port(8080)))},
		{
			"a server with an IPv6 address",
			withDatabase(t, builders.Tenant("acme").Database("shared").App(image),
				builders.DatabaseServer("shared", "2001:db8::10").Addresses("2001:db8::10")),
		},
		{
			"variables of the app of the names that the operator gives as well",
			withDatabase(t, builders.Tenant("acme").Database("shared").App(image).Port(8080).Env("PORT", "1").Env("PGHOST", "localhost"), server()),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, object := range all(test.in) {
				if errs := validate(t, object); len(errs) > 0 {
					t.Errorf("%s %s: %v", kindOf(t, object), object.GetName(), errs)
				}
			}
		})
	}
}

func TestTheNamespace(t *testing.T) {
	for _, test := range []struct {
		name        string
		tenant      *builders.TenantBuilder
		standard    string
		annotations map[string]string
	}{
		{"left out, pods must be Restricted", builders.Tenant("acme"), "restricted", nil},
		{"Baseline", builders.Tenant("acme").PodSecurity(v1alpha1.PodSecurityBaseline), "baseline", nil},
		{"Privileged", builders.Tenant("acme").PodSecurity(v1alpha1.PodSecurityPrivileged), "privileged", nil},
		{
			"a display name", builders.Tenant("acme").DisplayName("Acme Corp"), "restricted",
			map[string]string{"tenantry.dev/display-name": "Acme Corp"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			namespace := find[*corev1.Namespace](t, parts.Namespace, inputsOf(t, test.tenant))
			for _, mode := range []string{"enforce", "audit", "warn"} {
				if got := namespace.Labels["pod-security.kubernetes.io/"+mode]; got != test.standard {
					t.Errorf("the namespace's label for %s is %q, want %q", mode, got, test.standard)
				}
			}
			if !maps.Equal(namespace.Annotations, test.annotations) {
				t.Errorf("its annotations are %v, want %v", namespace.Annotations, test.annotations)
			}
		})
	}
}

func TestTheQuota(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").Quota(corev1.ResourceRequestsCPU, "1500m").Quota(corev1.ResourcePods, "10"))
	quota := find[*corev1.ResourceQuota](t, parts.Quota, in)
	if got := fmt.Sprint(amounts(quota.Spec.Hard)); got != "map[pods:10 requests.cpu:1500m]" {
		t.Errorf("the quota is %s", got)
	}
}

func TestTheContainerLimits(t *testing.T) {
	for _, test := range []struct {
		name                 string
		tenant               *builders.TenantBuilder
		normal, request, max map[string]string
	}{
		{
			"left out, modest defaults", builders.Tenant("acme"),
			map[string]string{"cpu": "500m", "memory": "256Mi"}, map[string]string{"cpu": "100m", "memory": "128Mi"}, nil,
		},
		{
			"a maximum alone", builders.Tenant("acme").ContainerMax(corev1.ResourceCPU, "4"),
			nil, nil, map[string]string{"cpu": "4"},
		},
		{
			"a request alone", builders.Tenant("acme").ContainerDefaultRequest(corev1.ResourceCPU, "100m"),
			nil, map[string]string{"cpu": "100m"}, nil,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			limits := find[*corev1.LimitRange](t, parts.Quota, inputsOf(t, test.tenant)).Spec.Limits
			if len(limits) != 1 || limits[0].Type != corev1.LimitTypeContainer {
				t.Fatalf("the limits are not those of containers: %v", limits)
			}
			for _, list := range []struct {
				name string
				got  corev1.ResourceList
				want map[string]string
			}{
				{"default", limits[0].Default, test.normal},
				{"defaultRequest", limits[0].DefaultRequest, test.request},
				{"max", limits[0].Max, test.max},
			} {
				if got := amounts(list.got); !maps.Equal(got, list.want) {
					t.Errorf("%s is %v, want %v", list.name, got, list.want)
				}
			}
		})
	}
}

func TestATenantWhoLiftsAllContainerLimitsHasNoLimitRange(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").NoContainerLimits())
	if objects := parts.Quota.Objects(in); len(objects) > 0 {
		t.Errorf("it has %v", list(t, objects))
	}
}

func amounts(list corev1.ResourceList) map[string]string {
	result := map[string]string{}
	for name, quantity := range list {
		result[string(name)] = quantity.String()
	}
	return result
}
