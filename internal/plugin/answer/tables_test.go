package answer_test

import (
	"bytes"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/plugin/answer"
	"github.com/tenantry/tenantry/internal/plugin/view"
	"github.com/tenantry/tenantry/test/builders"
)

func tabled(t *testing.T, table view.Table) string {
	t.Helper()
	var text bytes.Buffer
	if err := (view.Painter{}).Table(&text, table); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// line returns the line of a table that begins with a word, with one space between its cells.
func line(table, first string) string {
	for row := range strings.Lines(table) {
		if strings.HasPrefix(row, first+" ") {
			return strings.Join(strings.Fields(row), " ")
		}
	}
	return ""
}

func TestEachValueSaysWhereItComesFrom(t *testing.T) {
	tenant := builders.Tenant("acme").Quota("pods", "7").Build()
	tenant.Spec.ClassName = new("gold")
	class := &effective.Class{Name: "gold", Revision: "gold-1"}
	if err := yaml.Unmarshal([]byte(`{quota: {pods: "5", secrets: "9"}, app: {image: a/b:1, env: [{name: A, value: a}]}, database: {isolation: Schema, serverRef: {name: a}}}`), &class.Tenant); err != nil {
		t.Fatal(err)
	}
	tenant.Status.Database = &v1alpha1.TenantDatabaseStatus{Server: "a", Isolation: "Database"}
	made, err := answer.EffectiveOf(tenant, class, "gold-2")
	if err != nil {
		t.Fatal(err)
	}
	table := tabled(t, made.Table())
	for _, want := range []string{
		"spec.quota.pods 7 the Tenant", "spec.quota.secrets 9 class gold", "spec.app.replicas 1 default",
		`spec.app.env[name="A"] name: A value: a class gold`, "spec.database.isolation Database held: the database is placed",
	} {
		if got := line(table, strings.Fields(want)[0]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	const sentences = "Class gold, revision gold-1.\nThe class is at gold-2. The tenant is at gold-1, because the current one changes nothing for it or has not reached it yet.\nHeld back: spec.database.isolation is Database, and can't become Schema."
	if got := strings.Join(made.Sentences(), "\n"); got != sentences {
		t.Errorf("got\n%s\nwant\n%s", got, sentences)
	}
}

func TestAPinIsSaid(t *testing.T) {
	tenant := builders.Tenant("acme").Build()
	tenant.Spec.ClassRevision = "gold-1"
	for current, want := range map[string]string{
		"gold-1": "spec.classRevision pins the tenant to gold-1, which is the current revision of the class.",
		"gold-2": "spec.classRevision pins the tenant to gold-1. The class is at gold-2; leave classRevision out to follow it.",
	} {
		made, err := answer.EffectiveOf(tenant, &effective.Class{Name: "gold", Revision: "gold-1"}, current)
		if err != nil || len(made.Notes) != 1 || made.Notes[0] != want {
			t.Errorf("got %q %v, want %q", made.Notes, err, want)
		}
	}
}

func TestATenantThatDoesNotGoWithItsClassSaysWhy(t *testing.T) {
	tenant := builders.Tenant("acme").Quota("pods", "7").Build()
	class := &effective.Class{Name: "gold", Bounds: v1alpha1.TenantClassBounds{Quota: corev1.ResourceList{"pods": resource.MustParse("5")}}}
	if _, err := answer.EffectiveOf(tenant, class, ""); err == nil || !strings.Contains(err.Error(), "spec.quota has pods 7, and the class gold allows up to 5") {
		t.Errorf("got %v", err)
	}
}

func TestTheOwnersListIsRead(t *testing.T) {
	listed := answer.NamespacesFrom("acme", map[string]string{
		"acme-dev": "Usable", "acme": "Usable", "acme-old": "Terminating: It is being deleted: Some pods are remaining: a: b.", "_more": "and 3 more, which nobody can use",
	})
	const want = `NAME       STATE         MESSAGE
acme       Usable
acme-dev   Usable
acme-old   Terminating   It is being deleted: Some pods are remaining: a: b.
`
	if got := tabled(t, listed.Table()); got != want || listed.More != "and 3 more, which nobody can use" || !listed.Namespaces[0].Primary {
		t.Errorf("got\n%swant\n%s%v", got, want, listed)
	}
}

func TestWhatHoldsUpADeletion(t *testing.T) {
	base := func() answer.Departure {
		tenant := builders.Tenant("acme").Finalizers("tenantry.dev/tenant", "database.tenantry.dev/shared").Build()
		tenant.Status.Database = &v1alpha1.TenantDatabaseStatus{Server: "shared", Name: "t_brewsrmdqcfqkxdoaomm"}
		server := builders.DatabaseServer("shared", "db").Build()
		server.Status.Conditions = []metav1.Condition{condition("Ready", "True", "Ready", "It answers.")}
		return answer.Departure{Facts: answer.Facts{
			Name: "acme", Tenant: tenant, Server: server, Now: now,
			Namespaces: []v1alpha1.TenantNamespace{{Name: "acme", State: "Usable"}, {Name: "shop", State: "Usable", ReclaimPolicy: "Release"}},
		}, Retains: true}
	}
	for _, test := range []struct {
		name   string
		change func(*answer.Departure)
		free   bool
		want   string
	}{
		{"nothing", func(*answer.Departure) {}, true, `✓ Tenant acme can leave  Nothing that you can see holds up its deletion.
├─ ✓ Namespace acme is deleted  with everything in it
├─ ✓ Namespace shop stays  with what is in it, without quota, policies and rights
└─ ✓ Database t_brewsrmdqcfqkxdoaomm stays  on shared, with its logins disabled; spec.database.adopt of another Tenant takes it over
`},
		{"protection", func(d *answer.Departure) { d.Tenant.Spec.DeletionProtection = true }, false, `kubectl patch tenant acme --type=merge -p '{"spec":{"deletionProtection":false}}'`},
		{"a finalizer of the Tenant", func(d *answer.Departure) { d.Tenant.Finalizers = append(d.Tenant.Finalizers, "example.com/audit") }, false, "✗ Finalizer example.com/audit  It isn't Tenantry's"},
		{"an object with a finalizer", func(d *answer.Departure) {
			d.Holders = []answer.Holder{{Kind: "ConfigMap", Namespace: "acme", Name: "kept", Finalizers: []string{"example.com/a", "example.com/b"}}}
		}, false, "├─ ✗ Namespace acme is deleted  with everything in it\n│  └─ ✗ ConfigMap acme/kept  has the finalizers example.com/a and example.com/b; what has set that must take it off\n"},
		{"an object in a namespace that stays", func(d *answer.Departure) {
			d.Holders = []answer.Holder{{Kind: "ConfigMap", Namespace: "shop", Name: "kept", Finalizers: []string{"example.com/a"}}}
		}, true, "✓ Namespace shop stays"},
		{"a server that doesn't answer", func(d *answer.Departure) {
			d.Server.Status.Conditions[0] = condition("Ready", "False", "Unreachable", "Nothing answers.")
		}, false, "✗ DatabaseServer shared Unreachable  Nothing answers. The deletion waits until it answers."},
		{"a server that is gone", func(d *answer.Departure) { d.Server = nil }, false, "take the finalizer database.tenantry.dev/shared off the Tenant"},
		{"a server that may not be read", func(d *answer.Departure) { d.Server, d.Unread = nil, []string{"alice has no right"} }, true, "can leave"},
		{"a database that is dropped", func(d *answer.Departure) { d.Retains = false }, true, "✓ Database t_brewsrmdqcfqkxdoaomm is dropped  with its roles, from shared"},
		{"a deletion that is under way", func(d *answer.Departure) {
			d.Tenant.DeletionTimestamp = &metav1.Time{Time: now.Add(-3 * 60e9)}
			d.Tenant.Status.Conditions = []metav1.Condition{condition("Ready", "False", "Terminating", "The namespace acme is being deleted.")}
		}, true, "… Tenant acme has been leaving for 3m  The namespace acme is being deleted."},
	} {
		t.Run(test.name, func(t *testing.T) {
			departure := base()
			test.change(&departure)
			said, free := answer.Leave(departure)
			if got := drawn(t, said.Node); free != test.free || !strings.Contains(got, test.want) {
				t.Errorf("free is %v, want %q in\n%s", free, test.want, got)
			}
		})
	}
}

func TestOnlyForeignFinalizersHoldAnObject(t *testing.T) {
	got := answer.Foreign([]string{
		"kubernetes.io/pvc-protection", "foregroundDeletion", "orphan", "batch.kubernetes.io/job-tracking", "service.kubernetes.io/load-balancer-cleanup",
		"tenantry.dev/rights", "database.tenantry.dev/shared", "example.com/hold", "notkubernetes.io/hold",
	})
	if strings.Join(got, " ") != "example.com/hold notkubernetes.io/hold" {
		t.Errorf("got %q", got)
	}
}

func using(name, class string, hard, used corev1.ResourceList) v1alpha1.Tenant {
	tenant := *builders.Tenant(name).Build()
	if class != "" {
		tenant.Status.Class = &v1alpha1.TenantStatusClass{Name: class}
	}
	if hard != nil {
		tenant.Status.Usage = &v1alpha1.TenantUsage{Hard: hard, Used: used}
	}
	return tenant
}

func TestUsageHasBars(t *testing.T) {
	acme := using("acme", "gold", corev1.ResourceList{
		"requests.cpu": resource.MustParse("2"), "limits.cpu": resource.MustParse("4"), "memory": resource.MustParse("4Gi"), "pods": resource.MustParse("10"), "services.nodeports": resource.MustParse("0"),
	}, corev1.ResourceList{"requests.cpu": resource.MustParse("500m"), "memory": resource.MustParse("4Gi"), "pods": resource.MustParse("9")})
	acme.Status.Database = &v1alpha1.TenantDatabaseStatus{Server: "shared", ConnectionLimit: 20}
	const want = `NAME     CLASS   CPU                    MEMORY                  PODS                 STORAGE    DATABASE   CONNECTIONS
acme     gold    ███░░░░░░░ 500m of 2   ██████████ 4Gi of 4Gi   █████████░ 9 of 10   no limit   shared     up to 20
globex           no limit               no limit                no limit             no limit
`
	if got := tabled(t, answer.UsageTable([]v1alpha1.Tenant{acme, using("globex", "", nil, nil)})); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	var csv bytes.Buffer
	if err := answer.WriteCSV(&csv, answer.UsageOf([]v1alpha1.Tenant{acme})); err != nil {
		t.Fatal(err)
	}
	const wantCSV = `tenant,class,resource,used,hard
acme,gold,limits.cpu,0,4
acme,gold,memory,4Gi,4Gi
acme,gold,pods,9,10
acme,gold,requests.cpu,500m,2
acme,gold,services.nodeports,0,0
acme,gold,database.connections,,20
`
	if csv.String() != wantCSV {
		t.Errorf("got\n%swant\n%s", csv.String(), wantCSV)
	}
}

func TestAReleaseShowsWhichTenantsAreWhere(t *testing.T) {
	class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
	class.Status.CurrentRevision = "gold-2"
	class.Status.Conditions = []metav1.Condition{condition("Ready", "True", "Ready", "1 of 4 tenants are ready."), condition("DeletionBlocked", "True", "InUse", "It has tenants.")}
	at := func(name, revision, pin string, ready metav1.ConditionStatus, reason string) v1alpha1.Tenant {
		tenant := *builders.Tenant(name).Build()
		tenant.Spec.ClassName, tenant.Spec.ClassRevision = new("gold"), pin
		tenant.Status.Class = &v1alpha1.TenantStatusClass{Name: "gold", Revision: revision}
		tenant.Status.Conditions = []metav1.Condition{condition("Ready", ready, reason, "It is so.")}
		return tenant
	}
	fresh := *builders.Tenant("fresh").Build()
	fresh.Spec.ClassName = new("gold")
	const want = `✓ TenantClass gold Ready  1 of 4 tenants are ready.
├─ ! DeletionBlocked InUse  It has tenants.
├─ ✗ Revision gold-2  the current revision, 1 of 3 tenants are ready
│  ├─ … Tenant b Progressing  It is so.
│  └─ ✗ Tenant c Conflict  It is so.
├─ … Revision none  the operator has not looked at them yet, 0 of 1 tenants are ready
│  └─ … Tenant fresh Pending  The operator has not seen it yet; if that lasts, it isn't running.
└─ ✓ Revision gold-1  1 of 1 tenants are ready, 1 pinned
`
	got := drawn(t, answer.Release(class, []v1alpha1.Tenant{
		at("a", "gold-2", "", "True", "Ready"), at("b", "gold-2", "", "False", "Progressing"), at("c", "gold-2", "", "False", "Conflict"),
		at("d", "gold-1", "gold-1", "True", "Ready"), fresh, *builders.Tenant("other").Build(),
	}))
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestAReleaseThatIsPausedSaysSo(t *testing.T) {
	class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "gold"}}
	class.Spec.Rollout.Paused = true
	for reason, mark := range map[string]string{"Paused": "!", "WindowClosed": "!", "ReleaseStopped": "✗"} {
		class.Status.Conditions = []metav1.Condition{condition("Ready", "False", reason, "It has reached 1 of 4 tenants.")}
		want := mark + " TenantClass gold " + reason + "  It has reached 1 of 4 tenants.\n└─ ! Paused  No tenant is told to change until kubectl tenantry release resume gold.\n"
		if got := drawn(t, answer.Release(class, nil)); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	}
}

func TestPausingAndResumingAClass(t *testing.T) {
	const (
		rest    = "Those that were told before go on; kubectl tenantry release status gold says how many have changed."
		waits   = "\nTo wait for the end of its release: kubectl wait tenantclass/gold --for=condition=Ready --timeout=1h"
		goesOn  = "The TenantClass gold isn't paused any more: its tenants are told to change as spec.rollout says."
		stopped = "The release has stopped: 1 has failed."
	)
	for _, test := range []struct {
		name        string
		decide      func(*v1alpha1.TenantClass) answer.Change
		paused      bool
		ready       metav1.Condition
		generation  int64
		patch, said string
	}{
		{"pausing", answer.Pause, false, condition("Ready", "True", "Ready", ""), 0, `{"rollout":{"paused":true}}`,
			"The TenantClass gold is paused: no tenant is told to change until kubectl tenantry release resume gold. " + rest},
		{"pausing once more", answer.Pause, true, condition("Ready", "False", "Paused", ""), 0, "null", "There is nothing to do: the TenantClass gold is paused already. " + rest},
		{"resuming", answer.Resume, true, condition("Ready", "False", "Paused", ""), 0, `{"rollout":{"paused":false}}`, goesOn + waits},
		{"resuming with nothing on its way", answer.Resume, true, condition("Ready", "True", "Ready", ""), 0, `{"rollout":{"paused":false}}`, goesOn},
		{"resuming after a change that nobody has seen", answer.Resume, true, condition("Ready", "True", "Ready", ""), 7, `{"rollout":{"paused":false}}`, goesOn + waits},
		{"resuming what has stopped by itself, too", answer.Resume, true, condition("Ready", "False", "ReleaseStopped", stopped), 0, `{"rollout":{"paused":false}}`, goesOn + "\n" + stopped + waits},
		{"resuming what has only stopped by itself", answer.Resume, false, condition("Ready", "False", "ReleaseStopped", stopped), 0, "null", "There is nothing to do: the TenantClass gold isn't paused.\n" + stopped + waits},
		{"resuming once more", answer.Resume, false, condition("Ready", "True", "Ready", ""), 0, "null", "There is nothing to do: the TenantClass gold isn't paused."},
	} {
		t.Run(test.name, func(t *testing.T) {
			class := &v1alpha1.TenantClass{ObjectMeta: metav1.ObjectMeta{Name: "gold", Generation: test.generation}}
			class.Spec.Rollout.Paused = test.paused
			class.Status.Conditions = []metav1.Condition{test.ready}
			expectChange(t, test.decide(class), nil, test.patch, test.said)
		})
	}
}
