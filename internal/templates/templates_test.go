package templates_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/templates"
)

// objectOf returns an object of a class as the API server stores it.
func objectOf(t *testing.T, written string) v1alpha1.TenantClassObject {
	t.Helper()
	text, err := yaml.YAMLToJSON([]byte(written))
	if err != nil {
		t.Fatal(err)
	}
	return v1alpha1.TenantClassObject{Template: runtime.RawExtension{Raw: text}}
}

// scope has the values of a tenant that tries to write more than a value.
func scope() *templates.Scope {
	return templates.NewScope(templates.Values{
		templates.VariableTenant: map[string]any{
			"name": "acme", "uid": "1-2", "displayName": "${class.name}\nspec: {evil: true}", "namespace": "acme",
			"labels": map[string]any{"ring": "canary", "evil": "${tenant.uid}"}, "annotations": map[string]any{},
		},
		templates.VariableClass:    map[string]any{"name": "gold"},
		templates.VariableSpec:     map[string]any{"app": map[string]any{"image": "shop:1", "replicas": int64(3)}, "quota": map[string]any{"pods": "10"}},
		templates.VariableApp:      map[string]any{"image": "shop:1"},
		templates.VariableDatabase: map[string]any{"host": "pg.example", "port": int64(5432)},
	})
}

func withValue(t *testing.T, value string) v1alpha1.TenantClassObject {
	t.Helper()
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return objectOf(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, value: `+string(quoted)+`}`)
}

func TestWhatAValueIsForATenant(t *testing.T) {
	for _, test := range []struct {
		name, value string
		want        any
	}{
		{"a text without values", "plain $ {x} $x", "plain $ {x} $x"},
		{"a value alone keeps its type", "${spec.app.replicas}", int64(3)},
		{"a bool", "${tenant.labels['ring'] == 'canary'}", true},
		{"in a text it is text", "https://${tenant.name}.shop.example:${database.port}/", "https://acme.shop.example:5432/"},
		{"a list", "${[tenant.name, class.name]}", []any{"acme", "gold"}},
		{"a map", "${tenant.labels.filter(key, key == 'ring')}", []any{"ring"}},
		{"an object of the spec", "${spec.app}", map[string]any{"image": "shop:1", "replicas": int64(3)}},
		{"a map that is made", "${{'a': dyn(spec.app.replicas), 'b': dyn(tenant.name)}}", map[string]any{"a": int64(3), "b": "acme"}},
		{"a brace in a literal", "${'}' + \"{\" + tenant.name}", "}{acme"},
		{"an escaped quote in a literal", `${'\'}' + tenant.name}`, "'}acme"},
		{"what is no value", "$${tenant.name} of ${tenant.name}", "${tenant.name} of acme"},
		{"a field that may be missing", "${has(spec.app.port) ? spec.app.port : 80}", int64(80)},
		{"another value for what is missing", "${app.?url.orValue('none')}", "none"},
		{"a field whose name is a keyword of CEL", "${tenant.namespace}", "acme"},
		{"a quantity is as it was written", "${spec.quota['pods']}", "10"},
		{"what a tenant writes is looked at once only", "${tenant.displayName}", "${class.name}\nspec: {evil: true}"},
		{"also within a text", "a ${tenant.labels['evil']} b", "a ${tenant.uid} b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			made, err := templates.Compile([]v1alpha1.TenantClassObject{withValue(t, test.value)})
			if err != nil {
				t.Fatal(err)
			}
			object, err := made[0].Render(scope())
			if err != nil {
				t.Fatal(err)
			}
			if got := object.Object["value"]; !reflect.DeepEqual(got, test.want) {
				t.Errorf("it is %#v, want %#v", got, test.want)
			}
		})
	}
}

func TestAValueThatIsLeftOut(t *testing.T) {
	made, err := templates.Compile([]v1alpha1.TenantClassObject{objectOf(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, a: {b: "${app.?url}", c: 1}, d: ["${app.?url}", e]}`)})
	if err != nil {
		t.Fatal(err)
	}
	object, err := made[0].Render(scope())
	if err != nil {
		t.Fatal(err)
	}
	if got := object.Object["a"]; !reflect.DeepEqual(got, map[string]any{"c": int64(1)}) {
		t.Errorf("a is %v", got)
	}
	if got := object.Object["d"]; !reflect.DeepEqual(got, []any{"e"}) {
		t.Errorf("d is %v", got)
	}
}

func TestMetadataIsText(t *testing.T) {
	made, err := templates.Compile([]v1alpha1.TenantClassObject{objectOf(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, labels: {replicas: "${spec.app.replicas}"}}}`)})
	if err != nil {
		t.Fatal(err)
	}
	object, err := made[0].Render(scope())
	if err != nil || object.GetLabels()["replicas"] != "3" {
		t.Errorf("the labels are %v, %v", object.GetLabels(), err)
	}
}

func TestMistakesAreSaidWithTheirPlace(t *testing.T) {
	for _, test := range []struct{ name, value, want string }{
		{"a typo in a variable", "${tennant.name}", "spec.objects[0].template.value, line 1, column 3: undeclared reference to 'tennant'"},
		{"a typo in a field", "a ${tenant.naem}", "spec.objects[0].template.value, line 1, column 11: undefined field 'naem'"},
		{"a typo in a field of the spec, in the second line", "first\n ${spec.ap.image}", "spec.objects[0].template.value, line 2, column 8: undefined field 'ap'"},
		{"in the second line of an expression", "${tenant.name +\n nonsense}", "spec.objects[0].template.value, line 2, column 2: undeclared reference to 'nonsense'"},
		{"a wrong type", "${tenant.name + 1}", "found no matching overload for '_+_' applied to '(string, int)'"},
		{"a list in a text", "x ${tenant.labels}", "${tenant.labels} is a map(string, string), which can't be part of a text"},
		{"what is no value of a field", "${quantity('1')}", "which no field can have"},
		{"a value that doesn't end", "x ${tenant.name", "spec.objects[0].template.value, line 1, column 3: this ${ has no } that ends it; write $${ for ${ itself"},
		{"a literal that doesn't end", "${'x}", "this ${ has no } that ends it"},
		{"a value in a value", "${tenant.name + '${class.name}'}", "line 1, column 18: a value can't be in another value; write one expression"},
		{"nothing", "${}", "spec.objects[0].template.value, line 1, column 3: Syntax error"},
		{"a statement", "${tenant.name = 'x'}", "Syntax error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := templates.Compile([]v1alpha1.TenantClassObject{withValue(t, test.value)})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it says %v, want %q", err, test.want)
			}
		})
	}
}

func TestWhatIdentifiesAnObject(t *testing.T) {
	for _, test := range []struct{ name, object, want string }{
		{"no object", `[]`, "spec.objects[0].template: this is no object"},
		{"no kind", `{apiVersion: v1, metadata: {name: x}}`, "template.kind: the object needs one"},
		{"no version", `{kind: ConfigMap, metadata: {name: x}}`, "template.apiVersion: the object needs one"},
		{"no version that can be", `{apiVersion: a/b/c, kind: ConfigMap, metadata: {name: x}}`, "template.apiVersion: unexpected GroupVersion string: a/b/c"},
		{"no name", `{apiVersion: v1, kind: ConfigMap}`, "template.metadata.name: the object needs a name"},
		{"a kind that depends on the tenant", `{apiVersion: v1, kind: "${tenant.name}", metadata: {name: x}}`, "template.kind: this must be known before the tenant is"},
		{"a namespace", `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: default}}`, "template.metadata.namespace: the object is in the tenant's own namespaces"},
		{"an owner", `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, ownerReferences: []}}`, "template.metadata.ownerReferences: only name, labels and annotations can be here"},
		{"a finalizer", `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, finalizers: [a/b]}}`, "template.metadata.finalizers: only name, labels and annotations can be here"},
		{"a label of the operator", `{apiVersion: v1, kind: ConfigMap, metadata: {name: x, labels: {tenantry.dev/tenant: globex}}}`, `template.metadata.labels["tenantry.dev/tenant"]: what begins with tenantry.dev/ is the operator's to set`},
		{"a status", `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, status: {}}`, "template.status: the status is for whoever works on the object"},
		{"a name of a field with a value", `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, data: {"${tenant.name}": x}}`, `template.data["${tenant.name}"]: only values can have ${…} in them`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := templates.Compile([]v1alpha1.TenantClassObject{objectOf(t, test.object)})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it says %v, want %q", err, test.want)
			}
		})
	}
}

func TestAllMistakesAreSaidAtOnce(t *testing.T) {
	_, err := templates.Compile([]v1alpha1.TenantClassObject{withValue(t, "${a}"), withValue(t, "fine"), withValue(t, "${b}")})
	if err == nil || !strings.Contains(err.Error(), "objects[0].template.value") || !strings.Contains(err.Error(), "objects[2].template.value") {
		t.Errorf("it says %v", err)
	}
}

func TestWhatHasNoValueForATenant(t *testing.T) {
	all := strings.TrimSuffix(strings.Repeat("1,", 60), ",")
	for _, test := range []struct{ name, value, want string }{
		{"a field that isn't there", "${app.url}", "spec.objects[0].template.value: ${app.url} has no value for this tenant: no such key: url; has()"},
		{"a label that isn't there", "${tenant.labels['none']}", "no such key: none"},
		{"a list in a text that isn't known before", "x ${dyn([1])}", "${dyn([1])} is no text, number or bool for this tenant"},
		{"a loop that takes too long", "${[" + all + "].all(a, [" + all + "].all(b, [" + all + "].all(c, [" + all + "].all(d, a == b && c == d || true))))}", "it takes too long; let it compute less"},
	} {
		t.Run(test.name, func(t *testing.T) {
			made, err := templates.Compile([]v1alpha1.TenantClassObject{withValue(t, test.value)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = made[0].Render(scope())
			if _, isMistake := errors.AsType[*templates.Error](err); !isMistake || !strings.Contains(err.Error(), test.want) {
				t.Errorf("it says %v, want %q", err, test.want)
			}
		})
	}
}

func TestAnObjectThatIsTooLargeIsRefused(t *testing.T) {
	made, err := templates.Compile([]v1alpha1.TenantClassObject{withValue(t, "${['"+strings.Repeat("x", 1000)+"'].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, [1,2,3,4,5,6,7,8,9,10].map(c, [1,2,3,4,5,6,7,8,9,10].map(d, a))))}")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = made[0].Render(scope()); err == nil || !strings.Contains(err.Error(), "let it have less") {
		t.Errorf("it says %v", err)
	}
}

func TestAllValuesTogetherAreLimited(t *testing.T) {
	// A pattern costs by the length of both texts, and takes little time here.
	one := "${[1,2,3,4,5,6,7,8].all(n, !(string(n) + '" + strings.Repeat("x", 10_000) + "').matches('" + strings.Repeat("y", 400) + "'))}"
	var values []string
	for range 20 {
		values = append(values, `"`+one+`"`)
	}
	made, err := templates.Compile([]v1alpha1.TenantClassObject{objectOf(t, `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, value: [`+strings.Join(values, ",")+`]}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = made[0].Render(scope()); err == nil || !strings.Contains(err.Error(), "all values of the class together take too long") {
		t.Errorf("it says %v", err)
	}
}

func TestWhichVariablesATemplateUses(t *testing.T) {
	made, err := templates.Compile([]v1alpha1.TenantClassObject{withValue(t, "${tenant.name} ${has(database.host) ? database.host : ''}")})
	if err != nil {
		t.Fatal(err)
	}
	for variable, want := range map[string]bool{"tenant": true, "database": true, "app": false, "spec": false} {
		if got := made[0].Uses(variable); got != want {
			t.Errorf("it uses %s: %t, want %t", variable, got, want)
		}
	}
}
