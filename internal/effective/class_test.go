package effective_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/diff"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/test/builders"
)

// tenantSaying returns a Tenant with this spec, and specOf the spec alone.
func tenantSaying(t *testing.T, spec string) *v1alpha1.Tenant {
	t.Helper()
	tenant := builders.Tenant("acme").Build()
	tenant.Spec = specOf(t, spec)
	return tenant
}

func specOf(t *testing.T, text string) (spec v1alpha1.TenantSpec) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestATenantsOwnSpecComesBeforeItsClass(t *testing.T) {
	for _, test := range []struct{ name, class, tenant, merged string }{
		{"nothing, and nothing", ``, ``, ``},
		{"all from the class", `{quota: {pods: "5"}, app: {image: a/b:1}}`, ``, `{quota: {pods: "5"}, app: {image: a/b:1}}`},
		{"all from the tenant", ``, `{quota: {pods: "5"}, app: {image: a/b:1}}`, `{quota: {pods: "5"}, app: {image: a/b:1}}`},
		{"maps by key", `{quota: {pods: "5", secrets: "5"}, config: {A: a, B: b}}`, `{quota: {pods: "7"}, config: {B: x, C: c}}`,
			`{quota: {pods: "7", secrets: "5"}, config: {A: a, B: x, C: c}}`},
		{"an empty value in a map", `{config: {A: a}}`, `{config: {A: ""}}`, `{config: {A: ""}}`},
		{"objects by field", `{app: {image: a/b:1, port: 80, resources: {limits: {cpu: "1"}}}}`, `{app: {replicas: 0, resources: {limits: {memory: 1Gi}}}}`,
			`{app: {image: a/b:1, port: 80, replicas: 0, resources: {limits: {cpu: "1", memory: 1Gi}}}}`},
		{"entries of a list that have a key, by key and as a whole",
			`{app: {image: a/b:1, env: [{name: A, value: a}, {name: B, valueFrom: {secretKeyRef: {name: s, key: k}}}, {name: C, value: c}]}}`,
			`{app: {env: [{name: B, value: b}, {name: C}, {name: D, value: d}]}}`,
			`{app: {image: a/b:1, env: [{name: A, value: a}, {name: B, value: b}, {name: C}, {name: D, value: d}]}}`},
		{"workers and schedules by name and by field",
			`{app: {image: a/b:1, workers: [{name: mail, command: [/mail]}, {name: pdf, command: [/pdf]}], schedules: [{name: bill, schedule: "@daily", command: [/bill]}]}}`,
			`{app: {workers: [{name: mail, replicas: 3}], schedules: [{name: bill, timeZone: Europe/Berlin}]}}`,
			`{app: {image: a/b:1, workers: [{name: mail, command: [/mail], replicas: 3}, {name: pdf, command: [/pdf]}], schedules: [{name: bill, schedule: "@daily", timeZone: Europe/Berlin, command: [/bill]}]}}`},
		{"an autoscaler of a worker instead of its replicas, and the other way round",
			`{app: {image: a/b:1, workers: [{name: mail, command: [/mail], replicas: 3}, {name: pdf, command: [/pdf], autoscaling: {maxReplicas: 9}}, {name: csv, command: [/csv], replicas: 4}]}}`,
			`{app: {workers: [{name: mail, autoscaling: {maxReplicas: 5}}, {name: pdf, replicas: 2}]}}`,
			`{app: {image: a/b:1, workers: [{name: mail, command: [/mail], autoscaling: {maxReplicas: 5}}, {name: pdf, command: [/pdf], replicas: 2}, {name: csv, command: [/csv], replicas: 4}]}}`},
		{"a part of how a worker scales",
			`{app: {image: a/b:1, workers: [{name: mail, command: [/mail], autoscaling: {minReplicas: 2, maxReplicas: 5}}]}}`,
			`{app: {workers: [{name: mail, autoscaling: {maxReplicas: 9}}]}}`,
			`{app: {image: a/b:1, workers: [{name: mail, command: [/mail], autoscaling: {minReplicas: 2, maxReplicas: 9}}]}}`},
		{"sets together", `{policy: {imageRegistries: [a.example]}}`, `{policy: {imageRegistries: [b.example]}}`, `{policy: {imageRegistries: [a.example, b.example]}}`},
		{"other lists as a whole", `{owners: [{kind: User, name: a, role: Admin}], app: {image: a/b:1, args: [a, b]}}`, `{owners: [{kind: User, name: b, role: Viewer}], app: {args: [c]}}`,
			`{owners: [{kind: User, name: b, role: Viewer}], app: {image: a/b:1, args: [c]}}`},
		{"a false that the tenant writes", `{policy: {allowBlockedEvictions: true}}`, `{policy: {allowBlockedEvictions: false}}`, `{policy: {allowBlockedEvictions: false}}`},
		{"a tenant that is awake where its class sleeps", `{hibernation: {suspended: true}}`, `{hibernation: {suspended: false}}`, `{hibernation: {suspended: false}}`},
		{"a server instead of labels of one", `{database: {serverSelector: {matchLabels: {region: eu}}, connectionLimit: 5}}`, `{database: {serverRef: {name: shared}}}`,
			`{database: {serverRef: {name: shared}, connectionLimit: 5}}`},
		{"labels of a server instead of one", `{database: {serverRef: {name: shared}}}`, `{database: {serverSelector: {matchLabels: {region: eu}}}}`,
			`{database: {serverSelector: {matchLabels: {region: eu}}}}`},
		{"other labels, as a whole", `{database: {serverSelector: {matchLabels: {region: eu}}}}`, `{database: {serverSelector: {matchLabels: {zone: a}}}}`,
			`{database: {serverSelector: {matchLabels: {zone: a}}}}`},
		{"a server of its own instead of a shared one", `{database: {isolation: Row, sharedTables: Manage, serverRef: {name: shared}}}`, `{database: {isolation: Dedicated, dedicated: {storage: 1Gi}}}`,
			`{database: {isolation: Dedicated, dedicated: {storage: 1Gi}}}`},
		{"a shared server instead of one of its own", `{database: {isolation: Dedicated, dedicated: {storage: 1Gi}}}`, `{database: {isolation: Schema, serverRef: {name: shared}}}`,
			`{database: {isolation: Schema, serverRef: {name: shared}}}`},
		{"a part of what a server is", `{database: {isolation: Dedicated, dedicated: {storage: 1Gi, instances: 3}}}`, `{database: {dedicated: {storage: 2Gi}}}`,
			`{database: {isolation: Dedicated, dedicated: {storage: 2Gi, instances: 3}}}`},
		{"a Gateway instead of an IngressClass", `{app: {image: a/b:1, port: 80, expose: {ingressClassName: public, tls: {}, annotations: {a/b: c}}}}`,
			`{app: {expose: {hostnames: [a.example], gatewayRef: {name: edge}}}}`,
			`{app: {image: a/b:1, port: 80, expose: {hostnames: [a.example], gatewayRef: {name: edge}, annotations: {a/b: c}}}}`},
		{"a certificate instead of a Gateway", `{app: {image: a/b:1, port: 80, expose: {gatewayRef: {name: edge}}}}`, `{app: {expose: {hostnames: [a.example], tls: {secretName: own}}}}`,
			`{app: {image: a/b:1, port: 80, expose: {hostnames: [a.example], tls: {secretName: own}}}}`},
		{"volumes and further containers by name and as a whole",
			`{app: {image: a/b:1, volumes: [{name: data, storage: {size: 1Gi}}, {name: tmp, emptyDir: {}}], sidecars: [{name: proxy, image: a/proxy:1, command: [/proxy]}]}}`,
			`{app: {volumes: [{name: data, emptyDir: {medium: Memory}}], sidecars: [{name: proxy, image: a/proxy:2}]}}`,
			`{app: {image: a/b:1, volumes: [{name: data, emptyDir: {medium: Memory}}, {name: tmp, emptyDir: {}}], sidecars: [{name: proxy, image: a/proxy:2}]}}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			class := &effective.Class{Name: "gold", Tenant: specOf(t, test.class)}
			tenant := tenantSaying(t, test.tenant)
			tenant.Spec.ClassName = new("gold")
			before := tenant.DeepCopy()
			got, err := effective.OfClass(tenant, class)
			if err != nil {
				t.Fatal(err)
			}
			want := effective.Of(tenantSaying(t, test.merged))
			if !equality.Semantic.DeepEqual(got.Spec, want.Spec) {
				t.Errorf("merged to something else:\n%s", diff.Diff(want.Spec, got.Spec))
			}
			if !equality.Semantic.DeepEqual(tenant, before) || !equality.Semantic.DeepEqual(class.Tenant, specOf(t, test.class)) {
				t.Error("the Tenant or the class was changed")
			}
		})
	}
}

func TestWhatOnlyTheMergedSpecShows(t *testing.T) {
	gold := v1alpha1.TenantClassBounds{
		Quota:           corev1.ResourceList{"pods": resource.MustParse("10")},
		Isolations:      []v1alpha1.DatabaseIsolation{"Schema", "Row"},
		ImageRegistries: []v1alpha1.ImageRegistry{"registry.example/shop", "mirror.example/"},
		Overridable:     []v1alpha1.TenantField{"quota", "app.replicas", "app.image", "database", "containers"},
	}
	for _, test := range []struct {
		name, class, tenant string
		bounds              v1alpha1.TenantClassBounds
		said                string
	}{
		{"within all bounds", `{quota: {pods: "5"}, database: {isolation: Schema, serverRef: {name: a}}, app: {image: "registry.example/shop:1"}}`, `{quota: {pods: "10"}, app: {replicas: 2, image: mirror.example/a}, displayName: Acme}`, gold, ""},
		{"defaults that don't go with its own maximum", `{containers: {max: {cpu: "1"}}}`, `{containers: {default: {cpu: "2"}}}`, gold, "spec.containers: containers.default is above containers.max; lower the default or raise the maximum"},
		{"tables of all tenants", `{database: {isolation: Schema, serverRef: {name: a}}}`, `{database: {sharedTables: Manage}}`, gold, "spec.database.sharedTables: sharedTables is about the isolation Row; set isolation to Row, or leave sharedTables out"},
		{"a quota above its bound", `{quota: {pods: "20"}}`, ``, gold, "spec.quota has pods 20, and the class gold allows up to 10"},
		{"an isolation that is left out", ``, `{database: {serverRef: {name: a}}}`, gold, "spec.database.isolation is Database, and the class gold allows Schema, Row"},
		{"an image from elsewhere", `{app: {image: "registry.example/shopping:1"}}`, ``, gold, "spec.app.image is registry.example/shopping:1, and the class gold allows images from registry.example/shop, mirror.example/"},
		{"an image of a sidecar from elsewhere", `{app: {image: mirror.example/a, sidecars: [{name: proxy, image: elsewhere.example/proxy}]}}`, ``, gold, "the image of spec.app.sidecars proxy is elsewhere.example/proxy, and the class gold allows images from registry.example/shop, mirror.example/"},
		{
			"an autoscaler for an app with storage for one node", `{app: {image: a/b:1, volumes: [{name: data, storage: {size: 1Gi}}]}}`, `{app: {autoscaling: {maxReplicas: 3}}}`, v1alpha1.TenantClassBounds{},
			"spec.app.autoscaling.maxReplicas: app.volumes has storage that only one pod or node can mount, and app.autoscaling.maxReplicas is more than 1; write accessMode ReadWriteMany, or replicas 1 instead of autoscaling",
		},
		{
			"a minimum of a worker's replicas above the class's maximum", `{app: {image: a/b:1, workers: [{name: mail, command: [/mail], autoscaling: {maxReplicas: 4}}]}}`,
			`{app: {workers: [{name: mail, autoscaling: {minReplicas: 5}}]}}`, v1alpha1.TenantClassBounds{},
			"spec.app.workers[0].autoscaling: minReplicas is above maxReplicas; lower the first or raise the second",
		},
		{
			"hostnames of an app without a port", `{app: {image: a/b:1, expose: {ingressClassName: public}}}`, `{app: {expose: {hostnames: [a.example]}}}`, v1alpha1.TenantClassBounds{},
			"spec.app.port: an app that is exposed needs the port that it listens on; write one such as 8080 in app.port, or leave app.expose out",
		},
		{"fields that are the class's", `{app: {image: "mirror.example/a"}}`, `{app: {port: 80, replicas: 3}, config: {A: a}}`, gold, "spec has app.port, config, which the class gold sets; its tenants may write quota, app.replicas, app.image, database, containers"},
		{"any field", ``, `{config: {A: a}, cordoned: true}`, v1alpha1.TenantClassBounds{Overridable: []v1alpha1.TenantField{}}, "spec has config, which the class gold sets; its tenants may write no other fields"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := effective.OfClass(tenantSaying(t, test.tenant), &effective.Class{Name: "gold", Tenant: specOf(t, test.class), Bounds: test.bounds})
			message := ""
			if invalid, ok := errors.AsType[*effective.InvalidError](err); ok {
				message = invalid.Message
			} else if err != nil {
				t.Fatal(err)
			}
			if message != test.said {
				t.Errorf("it is said %q, want %q", message, test.said)
			}
		})
	}
}

// What a tenant can't do without is said by the part that lacks it, and the other parts go on.
func TestWhatIsRequiredMayComeFromEither(t *testing.T) {
	class := &effective.Class{Name: "gold", Tenant: specOf(t, `{app: {port: 80}, database: {connectionLimit: 5}}`)}
	made, err := effective.OfClass(tenantSaying(t, `{app: {replicas: 2}}`), class)
	if err != nil {
		t.Fatal(err)
	}
	if made.Spec.MissingForApp() == nil || made.Spec.MissingForDatabase() == nil {
		t.Error("nothing is said to be missing")
	}
}

func TestRulesOfAClass(t *testing.T) {
	rules, err := effective.Compile([]v1alpha1.TenantClassRule{
		{Rule: "!has(self.app) || !has(self.app.env)", Message: "app.env is the plan's to set"},
		{Rule: "!has(self.quota) || !('pods' in self.quota) || quantity(string(self.quota['pods'])).isLessThan(quantity('8'))", Message: "take fewer than eight pods"},
	})
	if err != nil {
		t.Fatal(err)
	}
	class := &effective.Class{Name: "gold", Rules: rules}
	if _, err := effective.OfClass(tenantSaying(t, `{quota: {pods: "7"}}`), class); err != nil {
		t.Errorf("a tenant within the rules: %v", err)
	}
	_, err = effective.OfClass(tenantSaying(t, `{quota: {pods: "8"}, app: {image: a.example/b, env: [{name: A}]}}`), class)
	if want := "app.env is the plan's to set; take fewer than eight pods"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a tenant outside of them: %v, want %q", err, want)
	}
	for rule, want := range map[string]string{
		"self.appp.port == 1": "spec.bounds.rules[0].rule: compilation failed: ERROR: <input>:1:5: undefined field 'appp'",
		"self.cordoned":       "",
		"1 + ":                "Syntax error",
		"'a'":                 "cel expression must evaluate to a bool",
	} {
		if _, err := effective.Compile([]v1alpha1.TenantClassRule{{Rule: rule, Message: "no"}}); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", rule, err, want)
		}
	}
}

func TestWhatIsPlacedStaysWhenTheClassSaysOtherwise(t *testing.T) {
	shared := v1alpha1.TenantDatabaseStatus{Server: "shared", Isolation: "Schema"}
	own := v1alpha1.TenantDatabaseStatus{Server: "dedicated-acme", Isolation: "Dedicated", Version: "16.4", Storage: new(resource.MustParse("10Gi"))}
	for _, test := range []struct {
		name, class string
		placed      v1alpha1.TenantDatabaseStatus
		effective   string
		held        []string
		err         string
	}{
		{"the same", `{database: {isolation: Schema, serverRef: {name: shared}}}`, shared, `{database: {isolation: Schema, serverRef: {name: shared}}}`, nil, ""},
		{"other labels of servers", `{database: {isolation: Schema, serverSelector: {matchLabels: {a: b}}}}`, shared, `{database: {isolation: Schema, serverSelector: {matchLabels: {a: b}}}}`, nil, ""},
		{"another server", `{database: {isolation: Schema, serverRef: {name: other}}}`, shared, `{database: {isolation: Schema, serverRef: {name: shared}}}`,
			[]string{"spec.database.serverRef.name is shared, and can't become other"}, ""},
		{"another isolation", `{database: {isolation: Row, sharedTables: Manage, serverSelector: {matchLabels: {a: b}}, connectionLimit: 7}}`, shared, `{database: {isolation: Schema, serverRef: {name: shared}, connectionLimit: 7}}`,
			[]string{"spec.database.isolation is Schema, and can't become Row"}, ""},
		{"a server of its own", `{database: {isolation: Dedicated, dedicated: {storage: 1Gi}}}`, shared, `{database: {isolation: Schema, serverRef: {name: shared}}}`,
			[]string{"spec.database.isolation is Schema, and can't become Dedicated"}, ""},
		{"no database", `{}`, shared, "", nil, "the class has none any more"},
		{"a greater server", `{database: {isolation: Dedicated, dedicated: {storage: 20Gi, version: "16", instances: 2}}}`, own, `{database: {isolation: Dedicated, dedicated: {storage: 20Gi, version: "16", instances: 2}}}`, nil, ""},
		{"a smaller server of another version", `{database: {isolation: Dedicated, dedicated: {storage: 5Gi, instances: 2}}}`, own, `{database: {isolation: Dedicated, dedicated: {storage: 10Gi, version: "16", instances: 2}}}`,
			[]string{"spec.database.dedicated.storage is 10Gi, and can't become 5Gi", "spec.database.dedicated.version is 16, and can't become 18"}, ""},
		{"a shared server", `{database: {serverRef: {name: shared}}}`, own, "", nil, "write isolation Dedicated"},
	} {
		t.Run(test.name, func(t *testing.T) {
			tenant := tenantSaying(t, ``)
			tenant.Status.Database = &test.placed
			made, err := effective.OfClass(tenant, &effective.Class{Name: "gold", Tenant: specOf(t, test.class)})
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("it is said %v, want %q", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := effective.Of(tenantSaying(t, test.effective))
			if !equality.Semantic.DeepEqual(made.Spec, want.Spec) {
				t.Errorf("it became:\n%s", diff.Diff(want.Spec, made.Spec))
			}
			if !slices.Equal(made.HeldBack, test.held) {
				t.Errorf("held back are %q, want %q", made.HeldBack, test.held)
			}
		})
	}
}

func TestTheDefaultClass(t *testing.T) {
	class := func(name, marked string, second int) v1alpha1.TenantClass {
		return v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{
			Name: name, Annotations: map[string]string{v1alpha1.AnnotationDefaultClass: marked}, CreationTimestamp: metav1.Unix(int64(second), 0),
		}}
	}
	terminating := class("ending", "true", 9)
	terminating.DeletionTimestamp = &metav1.Time{}
	terminating.DeletionTimestamp.Time = metav1.Unix(10, 0).Time
	for _, test := range []struct {
		name    string
		classes []v1alpha1.TenantClass
		want    string
	}{
		{"there is none", nil, ""},
		{"none is marked", []v1alpha1.TenantClass{class("a", "false", 1), class("b", "", 1)}, ""},
		{"one is", []v1alpha1.TenantClass{class("a", "", 2), class("b", "true", 1)}, "b"},
		{"the newest of several", []v1alpha1.TenantClass{class("a", "true", 1), class("b", "true", 2), class("c", "true", 1)}, "b"},
		{"of the same age, the first by name", []v1alpha1.TenantClass{class("b", "true", 1), class("a", "true", 1)}, "a"},
		{"not one that is being deleted", []v1alpha1.TenantClass{class("a", "true", 1), terminating}, "a"},
	} {
		if got := effective.DefaultClass(test.classes); got != test.want {
			t.Errorf("%s: it is %q, want %q", test.name, got, test.want)
		}
	}
}

func BenchmarkOfClass(b *testing.B) {
	tenant := builders.Tenant("acme").Quota("pods", "7").Config("A", "a").Build()
	class := &effective.Class{Name: "gold", Tenant: builders.Tenant("class").Quota("pods", "5").Database("shared").App(image).Port(80).Build().Spec}
	for b.Loop() {
		if _, err := effective.OfClass(tenant, class); err != nil {
			b.Fatal(err)
		}
	}
}
