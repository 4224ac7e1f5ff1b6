package parts_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/templates"
	"github.com/tenantry/tenantry/test/builders"
)

var (
	login = v1alpha1.TenantClassCopy{Kind: v1alpha1.CopySecret, Namespace: "platform", Name: "registry-login"}
	roots = v1alpha1.TenantClassCopy{Kind: v1alpha1.CopyConfigMap, Namespace: "platform", Name: "roots"}
)

// withCopies gives a tenant a class with a copy of each kind.
func withCopies(in parts.Inputs) parts.Inputs {
	in.Tenant.Class = &effective.Class{Name: "gold", Copies: []v1alpha1.TenantClassCopy{login, roots}}
	in.Originals = map[v1alpha1.TenantClassCopy]*unstructured.Unstructured{
		login: parsed(`{apiVersion: v1, kind: Secret, metadata: {name: registry-login, namespace: platform, uid: x, labels: {a: b}}, type: kubernetes.io/dockerconfigjson, immutable: true, data: {.dockerconfigjson: e30=}}`),
		roots: parsed(`{apiVersion: v1, kind: ConfigMap, metadata: {name: roots, namespace: platform}, data: {ca: "1"}, binaryData: {b: AAE=}}`),
	}
	return in
}

func parsed(written string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(written), &object.Object); err != nil {
		panic(err)
	}
	return object
}

func TestACopyHasTheContentOfItsOriginalAndNothingElse(t *testing.T) {
	in := withCopies(inputsOf(t, builders.Tenant("acme")))
	secret := find[*corev1.Secret](t, parts.Objects, in)
	if secret.Type != corev1.SecretTypeDockerConfigJson || string(secret.Data[corev1.DockerConfigJsonKey]) != "{}" || secret.Immutable != nil || secret.UID != "" || secret.Labels["a"] != "" {
		t.Errorf("the copy is %+v", secret)
	}
	config := find[*corev1.ConfigMap](t, parts.Objects, in)
	if config.Data["ca"] != "1" || string(config.BinaryData["b"]) != "\x00\x01" {
		t.Errorf("the copy is %+v", config)
	}
}

func TestCopiesAreInThePrimaryNamespaceOrInEachThatCanBeUsed(t *testing.T) {
	in := withCopies(inputsOf(t, builders.Tenant("acme")))
	in.Places = []parts.Place{{Name: "acme", Usable: true}, {Name: "acme-two", Usable: true}, {Name: "acme-many"}}
	original := in.Originals[login]
	everywhere := login
	everywhere.Each = v1alpha1.EachNamespace
	in.Tenant.Class.Copies[0], in.Originals = everywhere, map[v1alpha1.TenantClassCopy]*unstructured.Unstructured{everywhere: original, roots: in.Originals[roots]}
	var got []string
	for _, object := range parts.Objects.Objects(in) {
		got = append(got, object.GetNamespace()+"/"+object.GetName())
	}
	if said := strings.Join(got, " "); said != "acme/registry-login acme-two/registry-login acme/roots" {
		t.Errorf("the copies are %s", said)
	}
}

func TestACopyWhoseOriginalIsUnknownStays(t *testing.T) {
	in := withCopies(inputsOf(t, builders.Tenant("acme")))
	delete(in.Originals, login)
	spared := parts.Objects.Spared(in)
	if len(spared) != 1 || spared[0].GetName() != "registry-login" || spared[0].GetNamespace() != "acme" {
		t.Errorf("it spares %v", spared)
	}
	if objects := parts.Objects.Objects(in); len(objects) != 1 || objects[0].GetName() != "roots" {
		t.Errorf("it has %v", objects)
	}
}

func TestNoCopyTakesTheNameOfWhatTheOperatorHas(t *testing.T) {
	tenant := inputsOf(t, builders.Tenant("acme").Database("shared").DatabaseSecret("login")).Tenant
	for _, test := range []struct {
		kind v1alpha1.TenantClassCopyKind
		name string
		want bool
	}{
		{v1alpha1.CopySecret, "login", true}, {v1alpha1.CopyConfigMap, "login", false}, {v1alpha1.CopySecret, "other", false},
		{v1alpha1.CopyConfigMap, "app-config", true}, {v1alpha1.CopyConfigMap, "tenant-namespaces", true}, {v1alpha1.CopySecret, "app-config", false},
		{v1alpha1.CopyConfigMap, "app-settings", true}, {v1alpha1.CopyConfigMap, "app-release", true},
	} {
		if got := parts.NameIsTaken(tenant, v1alpha1.TenantClassCopy{Kind: test.kind, Name: test.name}); got != test.want {
			t.Errorf("%s %s is taken: %t, want %t", test.kind, test.name, got, test.want)
		}
	}
}

// template compiles a template.
func template(t *testing.T, written string, each v1alpha1.TenantClassEach) *templates.Template {
	t.Helper()
	text, err := yaml.YAMLToJSON([]byte(written))
	if err != nil {
		t.Fatal(err)
	}
	made, err := templates.Compile([]v1alpha1.TenantClassObject{{Template: runtime.RawExtension{Raw: text}, Each: each}})
	if err != nil {
		t.Fatal(err)
	}
	return made[0]
}

func TestTheObjectsOfATemplate(t *testing.T) {
	in := withCopies(withDatabase(t, builders.Tenant("acme").DisplayName("Acme Corp").Database("shared").App(image).Port(8080).
		Expose(func(expose *v1alpha1.AppExposure) { expose.TLS = &v1alpha1.AppCertificate{} }, "*.acme.example", "shop.acme.example"), server()))
	in.Places = []parts.Place{{Name: "acme", Usable: true}, {Name: "acme-two", Usable: true}, {Name: "acme-many"}}
	scope, err := parts.ScopeOf(in)
	if err != nil {
		t.Fatal(err)
	}
	made, err := parts.Render(in, template(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, labels: {own: "yes"}}, data: {
		all: "${tenant.name} ${tenant.namespace} ${tenant.displayName} ${class.name} ${app.internalURL} ${app.url} ${app.image} ${database.host}:${database.port} ${database.name} ${database.secretName} ${spec.app.port}"}}`,
		v1alpha1.EachNamespace), scope, true)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, one := range made {
		all, _, _ := unstructured.NestedString(one.Object.Object, "data", "all")
		said = append(said, one.Object.GetNamespace()+": "+all)
		labels, _ := json.Marshal(one.Object.GetLabels())
		if string(labels) != `{"own":"yes","tenantry.dev/class-object":"acme","tenantry.dev/tenant":"acme"}` {
			t.Errorf("its labels are %s", labels)
		}
	}
	const rest = "Acme Corp gold http://app.acme.svc:8080 https://shop.acme.example " + image + " pg.example:5432 t_brewsrmdqcfqkxdoaomm database 8080"
	if got, want := strings.Join(said, "\n"), "acme: acme acme "+rest+"\nacme-two: acme acme-two "+rest; got != want { //nolint:dupword // The namespace is named like the tenant.
		t.Errorf("the objects are\n%s\nwant\n%s", got, want)
	}
}

func TestWhatIsAboutTheDatabaseWaitsForIt(t *testing.T) {
	about := template(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {host: "${database.host}"}}`, "")
	optional := template(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {host: "${database.?host.orValue('none')}"}}`, "")
	render := func(in parts.Inputs, template *templates.Template, placed bool) error {
		in.Tenant.Class = &effective.Class{Name: "gold"}
		scope, err := parts.ScopeOf(in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = parts.Render(in, template, scope, placed)
		return err
	}
	with := withDatabase(t, builders.Tenant("acme").Database("shared"), server())
	if err := render(with, about, true); err != nil {
		t.Errorf("with its database it says %v", err)
	}
	if err := render(with, about, false); problem.Of(err).Reason != v1alpha1.ReasonProgressing || !strings.Contains(err.Error(), "waits for the database") {
		t.Errorf("before its database is ready it says %v", err)
	}
	without := inputsOf(t, builders.Tenant("acme"))
	if _, isMistake := errors.AsType[*templates.Error](render(without, about, false)); !isMistake {
		t.Error("a tenant without a database has an object that is about it")
	}
	if err := render(without, optional, false); err != nil {
		t.Errorf("what can do without a database says %v", err)
	}
}

func TestNoObjectPassesForOneOfTheOperatorsOwn(t *testing.T) {
	in := inputsOf(t, builders.Tenant("acme").DisplayName("tenantry"))
	in.Tenant.Class = &effective.Class{Name: "gold"}
	scope, err := parts.ScopeOf(in)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parts.Render(in, template(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, labels: {app.kubernetes.io/managed-by: "${tenant.displayName}"}}}`, ""), scope, true)
	if err == nil || !strings.Contains(err.Error(), "is for what the operator itself makes") {
		t.Errorf("it says %v", err)
	}
}

func TestHowTheObjectsOfAClassAre(t *testing.T) {
	widget := func(name, condition, message string) *unstructured.Unstructured {
		return parsed(`{apiVersion: a/v1, kind: Widget, metadata: {name: ` + name + `}, status: {conditions: [{type: ` + condition + `, status: "True", reason: R, message: "` + message + `"}]}}`)
	}
	fine, busy, broken := widget("fine", "Ready", "Fine"), widget("busy", "Reconciling", "At work."), widget("broken", "Stalled", "Broken")
	plain := parsed(`{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}`)
	for _, test := range []struct {
		name    string
		objects []*unstructured.Unstructured
		reason  string
		stalled bool
		message string
	}{
		{"none", nil, v1alpha1.ReasonReady, false, "What the class adds is in place."},
		{"all are fine", []*unstructured.Unstructured{fine, plain}, v1alpha1.ReasonReady, false, "What the class adds is in place."},
		{"one is busy", []*unstructured.Unstructured{fine, busy}, v1alpha1.ReasonProgressing, false, `Widget "busy" of the class says: At work.`},
		{"one is broken", []*unstructured.Unstructured{busy, broken}, v1alpha1.ReasonObjectFailed, true, `Widget "broken" of the class says: Broken.`},
		{"many are broken", []*unstructured.Unstructured{broken, broken, broken, broken, broken, broken, broken}, v1alpha1.ReasonObjectFailed, true, "So it is with 2 more."},
	} {
		t.Run(test.name, func(t *testing.T) {
			state := parts.Objects.State(parts.Observation{Tenant: inputsOf(t, builders.Tenant("acme")).Tenant, Objects: test.objects, Now: time.Now()})
			if state.Reason != test.reason || state.Stalled != test.stalled || !strings.HasSuffix(state.Message, test.message) || (state.Status == metav1.ConditionTrue) != (test.reason == v1alpha1.ReasonReady) {
				t.Errorf("it is %+v", state)
			}
		})
	}
}
