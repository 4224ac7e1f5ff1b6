package answer_test

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/plugin/answer"
	"github.com/tenantry/tenantry/internal/plugin/view"
	"github.com/tenantry/tenantry/test/builders"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// object returns an object in the namespace acme.
func object(t *testing.T, kind, name, content string) unstructured.Unstructured {
	t.Helper()
	version := map[string]string{"Deployment": "apps/v1"}[kind]
	text, err := yaml.YAMLToJSON([]byte(fmt.Sprintf("{apiVersion: %s, kind: %s, ", cmp.Or(version, "v1"), kind) + content[1:]))
	if err != nil {
		t.Fatal(err)
	}
	found := unstructured.Unstructured{}
	if err := found.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	found.SetNamespace("acme")
	found.SetName(name)
	return found
}

// condition returns a condition that has been as it is for three minutes.
func condition(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(now.Add(-3 * time.Minute))}
}

// pod returns a pod of the app, whose container waits for this reason; empty is none.
func pod(name, waits string) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "acme", Name: name,
		OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "app-6d4cf56db6", Controller: new(true)}},
	}}
	p.Status.Phase = corev1.PodRunning
	if waits != "" {
		p.Status.Phase = corev1.PodPending
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{
			Waiting: &corev1.ContainerStateWaiting{Reason: waits, Message: "pull access denied"},
		}}}
		return p
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	return p
}

const (
	goodDeployment = `{metadata: {generation: 1}, spec: {replicas: 1}, status: {observedGeneration: 1, replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1, conditions: [{type: Available, status: "True"}]}}`
	badDeployment  = `{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, replicas: 2, updatedReplicas: 2}}`
)

// facts returns those of a tenant with an app whose image can't be pulled.
func facts(t *testing.T) answer.Facts {
	t.Helper()
	tenant := builders.Tenant("acme").App("registry.example/shop:1").Build()
	const message = "The image of the app can't be pulled."
	tenant.Status.Conditions = []metav1.Condition{
		condition("NamespaceReady", "True", "Ready", "The namespace is there."),
		condition("QuotaReady", "True", "Ready", "No quota."),
		condition("AppReady", "False", "ErrImagePull", message),
		condition("Stalled", "True", "ErrImagePull", message),
		condition("Ready", "False", "ErrImagePull", message),
	}
	namespaces := []v1alpha1.TenantNamespace{{Name: "acme", Primary: true, State: v1alpha1.NamespaceUsable}}
	tenant.Status.Namespaces = namespaces
	stray := pod("debug", "")
	stray.OwnerReferences = nil
	return answer.Facts{
		Name: "acme", Tenant: tenant, Namespaces: namespaces, Now: now,
		Objects: []unstructured.Unstructured{
			object(t, "ConfigMap", "app-config", `{}`), object(t, "ConfigMap", "tenant-namespaces", `{}`),
			object(t, "ConfigMap", "company-ca", `{}`), object(t, "Secret", "pull", `{}`),
			object(t, "Secret", "database", `{metadata: {annotations: {tenantry.dev/rotated-at: "2026-11-27T12:00:00Z"}}}`),
			object(t, "Deployment", "app", badDeployment),
			object(t, "ResourceQuota", "tenant", `{status: {hard: {pods: "5"}, used: {pods: "3"}}}`),
		},
		Pods: []corev1.Pod{pod("app-6d4cf56db6-aaaaa", ""), pod("app-6d4cf56db6-zzzzz", "ErrImagePull"), stray},
		Events: []corev1.Event{
			event("Pod", "app-6d4cf56db6-zzzzz", corev1.EventTypeNormal, "Scheduled", "It is on node-1.", 10*time.Second),
			event("Pod", "app-6d4cf56db6-zzzzz", corev1.EventTypeWarning, "Failed", "pull access denied\nfor registry.example/shop:1", 20*time.Second),
			event("Pod", "other", corev1.EventTypeWarning, "Failed", "another one", time.Second),
		},
	}
}

func event(kind, name, typed, reason, message string, ago time.Duration) corev1.Event {
	return corev1.Event{
		InvolvedObject: corev1.ObjectReference{Kind: kind, Namespace: "acme", Name: name}, Type: typed, Reason: reason, Message: message,
		Count: 4, LastTimestamp: metav1.NewTime(now.Add(-ago)), Source: corev1.EventSource{Component: "kubelet"},
	}
}

func drawn(t *testing.T, node view.Node) string {
	t.Helper()
	var text bytes.Buffer
	if err := (view.Painter{}).Tree(&text, node); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestStatusIsATreeOfPartsObjectsAndPods(t *testing.T) {
	const want = `✗ Tenant acme ErrImagePull  The image of the app can't be pulled.
├─ ✓ NamespaceReady  The namespace is there.
│  └─ ✓ Namespace acme Usable
│     └─ ✓ Pod acme/debug Running
├─ ✓ QuotaReady  No quota.
│  └─ ✓ ResourceQuota acme/tenant  pods 3 of 5
├─ AccessReady
│  └─ ✓ ConfigMap acme/tenant-namespaces
├─ DatabaseReady
│  └─ ✓ Secret acme/database
├─ ObjectsReady
│  ├─ ✓ ConfigMap acme/company-ca
│  └─ ✓ Secret acme/pull
└─ ✗ AppReady ErrImagePull  The image of the app can't be pulled.
   ├─ ✓ ConfigMap acme/app-config
   └─ … Deployment acme/app 0/2 ready  Available: 0/2
      ├─ ✗ Pod acme/app-6d4cf56db6-zzzzz ErrImagePull  pull access denied
      └─ ✓ Pod acme/app-6d4cf56db6-aaaaa Running
`
	if got := drawn(t, answer.Status(facts(t)).Node); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTheStorageOfAnAppAndTheWayToItAreUnderIt(t *testing.T) {
	f := facts(t)
	f.Objects = []unstructured.Unstructured{
		object(t, "Ingress", "app", `{}`), object(t, "HTTPRoute", "app", `{}`), object(t, "PersistentVolumeClaim", "app-data", `{status: {phase: Bound}}`),
	}
	const want = `AppReady ErrImagePull  The image of the app can't be pulled.
   ├─ ✓ Ingress acme/app
   ├─ ✓ HTTPRoute acme/app
   └─ ✓ PersistentVolumeClaim acme/app-data
`
	if got := drawn(t, answer.Status(f).Node); !strings.HasSuffix(got, want) {
		t.Errorf("got\n%swant at the end\n%s", got, want)
	}
}

func TestOwnersSeeWhatIsInTheirNamespaces(t *testing.T) {
	f := facts(t)
	f.Tenant = nil
	got := drawn(t, answer.Status(f).Node)
	for _, want := range []string{"! Tenant acme  This is what you can see in its namespaces.", "AppReady\n", "✗ Pod acme/app-6d4cf56db6-zzzzz ErrImagePull", "Namespace acme Usable"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}

func TestOnlySomeOfManyPodsAreListed(t *testing.T) {
	f := facts(t)
	f.Pods = f.Pods[1:2]
	for _, letter := range "abcdefghijkl" {
		f.Pods = append(f.Pods, pod("app-6d4cf56db6-"+string(letter), ""))
	}
	got := drawn(t, answer.Status(f).Node)
	if strings.Count(got, "Pod acme/app-") != 10 || !strings.Contains(got, "zzzzz") || !strings.Contains(got, "and 3 more pods") {
		t.Errorf("got\n%s", got)
	}
}

func TestWhyIsAChainDownToTheLastEvent(t *testing.T) {
	const want = `✗ Tenant acme ErrImagePull  The image of the app can't be pulled. (since 3m)
└─ ✗ AppReady ErrImagePull  (since 3m)
   └─ … Deployment acme/app 0/2 ready  Available: 0/2
      └─ ✗ Pod acme/app-6d4cf56db6-zzzzz ErrImagePull  pull access denied
         └─ ✗ Event Failed  pull access denied for registry.example/shop:1 (20s ago, 4 times, by kubelet)
`
	if got := drawn(t, answer.Why(facts(t)).Node); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestWhyNamesWhatReadyIsAbout(t *testing.T) {
	ready := func(f *answer.Facts, reason, message string) {
		f.Tenant.Status.Conditions[4] = condition("Ready", "False", reason, message)
	}
	for _, test := range []struct {
		name   string
		change func(*answer.Facts)
		want   string
	}{
		{"a database whose server doesn't answer", func(f *answer.Facts) {
			ready(f, "ServerNotReady", "The server is down.")
			f.Tenant.Status.Conditions = append(f.Tenant.Status.Conditions, condition("DatabaseReady", "False", "ServerNotReady", "The server is down."))
			f.Server = builders.DatabaseServer("shared", "db").Build()
			f.Server.Status.Conditions = []metav1.Condition{condition("Ready", "False", "Unreachable", "Nothing answers at db:5432.")}
			f.Events = []corev1.Event{event("DatabaseServer", "shared", corev1.EventTypeWarning, "Unreachable", "Nothing answers.", time.Minute)}
			f.Events[0].InvolvedObject.Namespace = ""
		}, "DatabaseServer shared Unreachable  Nothing answers at db:5432.\n      └─ ✗ Event Unreachable"},
		{"a namespace that is somebody else's", func(f *answer.Facts) {
			ready(f, "Conflict", "It is taken.")
			f.Tenant.Status.Conditions[0] = condition("NamespaceReady", "False", "Conflict", "It is taken.")
			f.Namespaces = []v1alpha1.TenantNamespace{{Name: "acme", State: v1alpha1.NamespaceConflict, Message: "It belongs to globex."}}
		}, "└─ ✗ Namespace acme Conflict  It belongs to globex."},
		{"pods that the quota refuses, by the ReplicaSet", func(f *answer.Facts) {
			f.Pods = nil
			f.Events = []corev1.Event{event("ReplicaSet", "app-6d4cf56db6", corev1.EventTypeWarning, "FailedCreate", "exceeded quota", time.Minute)}
		}, "Deployment acme/app 0/2 ready  Available: 0/2\n      └─ ✗ Event FailedCreate  exceeded quota"},
		{"what isn't about a part", func(f *answer.Facts) {
			ready(f, "ClassNotFound", "There is no class gold.")
			for i := range f.Tenant.Status.Conditions[:4] {
				f.Tenant.Status.Conditions[i].Status = metav1.ConditionTrue
			}
			f.Events = nil
		}, "✗ Tenant acme ClassNotFound  There is no class gold. (since 3m)\n"},
		{"a tenant that the operator has not seen", func(f *answer.Facts) { f.Tenant.Status = v1alpha1.TenantStatus{} }, "… Tenant acme Pending  The operator has not seen it yet"},
		{"a change that the operator has not seen", func(f *answer.Facts) { f.Tenant.Generation = 7 }, "The operator hasn't looked at the last change of the Tenant yet."},
		{"a tenant that is Ready", func(f *answer.Facts) {
			f.Tenant.Status.Conditions = []metav1.Condition{
				condition("Ready", "True", "Ready", "Everything is in place."), condition("HeldBack", "True", "Immutable", "The isolation stays."),
			}
		}, "✓ Tenant acme Ready  Everything is in place. (since 3m)\n└─ ! HeldBack Immutable  The isolation stays."},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := facts(t)
			test.change(&f)
			if got := drawn(t, answer.Why(f).Node); !strings.Contains(got, test.want) {
				t.Errorf("want %q in\n%s", test.want, got)
			}
		})
	}
}

func TestWhyOfATenantThatIsNotToBeReadBeginsWithItsPods(t *testing.T) {
	f := facts(t)
	f.Tenant = nil
	got := drawn(t, answer.Why(f).Node)
	if !strings.Contains(got, "Pod acme/app-6d4cf56db6-zzzzz ErrImagePull") || !strings.Contains(got, "Event Failed") {
		t.Errorf("got\n%s", got)
	}
	f.Objects, f.Pods, f.Events = []unstructured.Unstructured{object(t, "Deployment", "app", goodDeployment)}, nil, nil
	if got := drawn(t, answer.Why(f).Node); strings.Contains(got, "Deployment") {
		t.Errorf("nothing is wrong, and it says\n%s", got)
	}
}
