package apply

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestWhatTheAPIServerFillsInIsNoDrift(t *testing.T) {
	for _, object := range desiredObjects() {
		t.Run(reflect.TypeOf(object).Elem().Name(), func(t *testing.T) {
			desired, live := applied(t, object)
			if !isUnchanged(t, desired, live) {
				t.Error("an object that was just created would be written again")
			}
			again := object.DeepCopyObject().(client.Object)
			if _, err := stamp(again); err != nil {
				t.Fatal(err)
			}
			if !isUnchanged(t, again, live) {
				t.Error("the same desired state, made anew, would be written again")
			}
		})
	}
}

// drift is a change that somebody makes to a live object.
type drift struct {
	name        string
	object      client.Object
	subresource string
	change      func(client.Object)
}

func on[T client.Object](change func(T)) func(client.Object) {
	return func(object client.Object) { change(object.(T)) }
}

func onContainer(change func(*corev1.Container)) func(client.Object) {
	return on(func(d *appsv1.Deployment) { change(&d.Spec.Template.Spec.Containers[0]) })
}

var drifts = []drift{
	{"a value is another one", deployment(), "", onContainer(func(c *corev1.Container) { c.Image = "registry.example/shop:2" })},
	{"the app is scaled", deployment(), "scale", on(func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](9) })},
	{"a variable is removed", deployment(), "", onContainer(func(c *corev1.Container) { c.Env = c.Env[1:] })},
	{"a variable is added", deployment(), "", onContainer(func(c *corev1.Container) { c.Env = append(c.Env, corev1.EnvVar{Name: "X", Value: "y"}) })},
	{"the variables are in another order", deployment(), "", onContainer(func(c *corev1.Container) { slices.Reverse(c.Env) })},
	{"a variable gets a value", deployment(), "", onContainer(func(c *corev1.Container) { c.Env[2].Value = "x" })},
	{"a limit is lifted", deployment(), "", onContainer(func(c *corev1.Container) { c.Resources.Limits = nil })},
	{"a limit is added", deployment(), "", onContainer(func(c *corev1.Container) { c.Resources.Limits[corev1.ResourceCPU] = resource.MustParse("4") })},
	{"a request is raised", deployment(), "", onContainer(func(c *corev1.Container) { c.Resources.Requests[corev1.ResourceCPU] = resource.MustParse("1") })},
	{"a probe is removed", deployment(), "", onContainer(func(c *corev1.Container) { c.ReadinessProbe = nil })},
	{"a container is put beside the app's", deployment(), "", on(func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers = append(d.Spec.Template.Spec.Containers, corev1.Container{Name: "miner", Image: "x"})
	})},
	{"what keeps root out is removed", deployment(), "", on(func(d *appsv1.Deployment) { d.Spec.Template.Spec.SecurityContext = nil })},
	{"what keeps root out is turned around", deployment(), "", on(func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.SecurityContext.RunAsNonRoot = new(false)
	})},
	{"the host's network is opened", deployment(), "", on(func(d *appsv1.Deployment) { d.Spec.Template.Spec.HostNetwork = true })},
	{"a default is set to another value", deployment(), "", on(func(d *appsv1.Deployment) { d.Spec.Template.Spec.DNSPolicy = corev1.DNSDefault })},
	{"rollouts are paused", deployment(), "", on(func(d *appsv1.Deployment) { d.Spec.Paused = true })},
	{"a rollout is asked for", deployment(), "", on(func(d *appsv1.Deployment) {
		d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "2026-03-01T09:00:00Z"
	})},
	{"a setting has another value", configMap(), "", on(func(c *corev1.ConfigMap) { c.Data["MODE"] = "slow" })},
	{"a setting is added", configMap(), "", on(func(c *corev1.ConfigMap) { c.Data["X"] = "y" })},
	{"a setting is removed", configMap(), "", on(func(c *corev1.ConfigMap) { delete(c.Data, "MODE") })},
	{"all settings are removed", configMap(), "", on(func(c *corev1.ConfigMap) { c.Data = nil })},
	{"settings are added where there are to be none", func() client.Object {
		object := configMap()
		object.Data = nil
		return object
	}(), "", on(func(c *corev1.ConfigMap) { c.Data = map[string]string{"X": "y"} })},
	{"settings are added in another field", configMap(), "", on(func(c *corev1.ConfigMap) { c.BinaryData = map[string][]byte{"X": {1}} })},
	{"the password is another one", secret(), "", on(func(s *corev1.Secret) { s.Data["password"] = []byte("guess") })},
	{"the password is removed", secret(), "", on(func(s *corev1.Secret) { delete(s.Data, "password") })},
	{"an empty value is filled", secret(), "", on(func(s *corev1.Secret) { s.Data["empty"] = []byte("x") })},
	{"a token is mounted", serviceAccount(), "", on(func(s *corev1.ServiceAccount) { s.AutomountServiceAccountToken = new(true) })},
	{"nobody says whether a token is mounted", serviceAccount(), "", on(func(s *corev1.ServiceAccount) { s.AutomountServiceAccountToken = nil })},
	{"the Service is opened to the world", service(), "", on(func(s *corev1.Service) { s.Spec.ExternalIPs = []string{"198.51.100.1"} })},
	{"the Service selects more pods", service(), "", on(func(s *corev1.Service) { s.Spec.Selector = map[string]string{} })},
	{"the Service listens on another port", service(), "", on(func(s *corev1.Service) { s.Spec.Ports[0].Port = 80 })},
	{"the quota is raised", quota(), "", on(func(q *corev1.ResourceQuota) { q.Spec.Hard[corev1.ResourcePods] = resource.MustParse("100") })},
	{"the quota counts less", quota(), "", on(func(q *corev1.ResourceQuota) { delete(q.Spec.Hard, corev1.ResourcePods) })},
	{"the quota is for some pods only", quota(), "", on(func(q *corev1.ResourceQuota) {
		q.Spec.Scopes = []corev1.ResourceQuotaScope{corev1.ResourceQuotaScopeTerminating}
	})},
	{"the container limits are raised", limitRange(), "", on(func(l *corev1.LimitRange) {
		l.Spec.Limits[0].Max[corev1.ResourceCPU] = resource.MustParse("64")
	})},
	{"somebody gets in", roleBinding(), "", on(func(r *rbacv1.RoleBinding) {
		r.Subjects = append(r.Subjects, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: "User", Name: "mallory"})
	})},
	{"an owner is kept out", roleBinding(), "", on(func(r *rbacv1.RoleBinding) { r.Subjects = r.Subjects[:1] })},
	{"nobody gets in", roleBinding(), "", on(func(r *rbacv1.RoleBinding) { r.Subjects = nil })},
	{"a way out is opened", networkPolicy(), "", on(func(n *networkingv1.NetworkPolicy) {
		n.Spec.Egress = append(n.Spec.Egress, networkingv1.NetworkPolicyEgressRule{})
	})},
	{"an exception is made", networkPolicy(), "", on(func(n *networkingv1.NetworkPolicy) { n.Spec.Egress[0].To[0].IPBlock.Except = []string{"192.0.2.10/32"} })},
	{"the policy is for some pods only", networkPolicy(), "", on(func(n *networkingv1.NetworkPolicy) {
		n.Spec.PodSelector.MatchLabels = map[string]string{"some": "pods"}
	})},
	{"the Pod Security Standard is lowered", namespace(), "", on(func(n *corev1.Namespace) {
		n.Labels["pod-security.kubernetes.io/enforce"] = "privileged"
	})},
	{"the Pod Security Standard is removed", namespace(), "", on(func(n *corev1.Namespace) {
		delete(n.Labels, "pod-security.kubernetes.io/enforce")
	})},
	{"the label that the operator finds it by is removed", configMap(), "", on(func(c *corev1.ConfigMap) { c.Labels = nil })},
	{"an annotation is removed", namespace(), "", on(func(n *corev1.Namespace) { delete(n.Annotations, "tenantry.dev/display-name") })},
	{"the stamp is removed", configMap(), "", on(func(c *corev1.ConfigMap) { c.Annotations = nil })},
	{"the owner no longer controls it", configMap(), "", on(func(c *corev1.ConfigMap) { c.OwnerReferences[0].Controller = nil })},
}

func TestDriftIsFoundAndUndoneByOneWrite(t *testing.T) {
	for _, test := range drifts {
		t.Run(test.name, func(t *testing.T) {
			desired, live := applied(t, test.object)
			changed := live.DeepCopyObject().(client.Object)
			test.change(changed)
			changed = put(t, live, changed, "kubectl-edit", test.subresource)
			if isUnchanged(t, desired, changed) {
				t.Fatal("it is not noticed")
			}
			undone := put(t, changed, merge(desired, changed), fieldOwner, "")
			if !isUnchanged(t, desired, undone) {
				t.Errorf("after it was undone it would be written again; fields are owned by %v", managers(undone))
			}
			if left := differences(live, undone); left != "" {
				t.Errorf("it was not undone:\n%s", left)
			}
		})
	}
}

// differences returns the differences between two objects, except for who owns which field.
func differences(a, b client.Object) string {
	a, b = a.DeepCopyObject().(client.Object), b.DeepCopyObject().(client.Object)
	a.SetManagedFields(nil)
	b.SetManagedFields(nil)
	if equality.Semantic.DeepEqual(a, b) {
		return ""
	}
	return diff.Diff(a, b)
}

func TestWhatOthersMayDoIsNoDriftAndStays(t *testing.T) {
	for _, test := range []drift{
		{"the cluster reports a status", deployment(), "status", on(func(d *appsv1.Deployment) {
			d.Status.Replicas = 2
			d.Annotations["deployment.kubernetes.io/revision"] = "1"
		})},
		{"the quota is counted", quota(), "status", on(func(q *corev1.ResourceQuota) { q.Status.Hard = q.Spec.Hard.DeepCopy() })},
		{"the namespace is finalized", namespace(), "finalize", on(func(n *corev1.Namespace) { n.Spec.Finalizers = nil })},
		{"a label", configMap(), "", on(func(c *corev1.ConfigMap) { c.Labels["team"] = "payments" })},
		{"an annotation", configMap(), "", on(func(c *corev1.ConfigMap) { c.Annotations["note"] = "look here" })},
		{"a finalizer", configMap(), "", on(func(c *corev1.ConfigMap) { c.Finalizers = []string{"example.com/hold"} })},
		{"an owner reference behind the operator's", configMap(), "", on(func(c *corev1.ConfigMap) {
			c.OwnerReferences = append(c.OwnerReferences, metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: "x", UID: "pod"})
		})},
		{"an owner reference before the operator's", configMap(), "", on(func(c *corev1.ConfigMap) {
			c.OwnerReferences = append([]metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "x", UID: "pod"}}, c.OwnerReferences...)
		})},
		{"a value is written that is there already", configMap(), "", on(func(c *corev1.ConfigMap) { c.Data["MODE"] = "fast" })},
		{"quantities are in another notation", quota(), "", on(func(q *corev1.ResourceQuota) {
			q.Spec.Hard[corev1.ResourceRequestsCPU] = resource.MustParse("1.5")
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			desired, live := applied(t, test.object)
			changed := live.DeepCopyObject().(client.Object)
			test.change(changed)
			changed = put(t, live, changed, "somebody", test.subresource)
			if !isUnchanged(t, desired, changed) {
				t.Fatal("it is taken for drift")
			}
			// A write for another reason must not undo it, either.
			written := put(t, changed, merge(desired, changed), fieldOwner, "")
			if lost := differences(changed, written); lost != "" && test.subresource == "" {
				t.Errorf("it is undone:\n%s", lost)
			}
		})
	}
}

func TestADesiredStateThatWasReplacedIsWritten(t *testing.T) {
	for _, test := range []struct {
		name   string
		object client.Object
		change func(client.Object)
	}{
		{"a setting less", configMap(), on(func(c *corev1.ConfigMap) { delete(c.Data, "MODE") })},
		{"no settings", configMap(), on(func(c *corev1.ConfigMap) { c.Data = nil })},
		{"a limit less", deployment(), onContainer(func(c *corev1.Container) { c.Resources.Limits = nil })},
		{"a probe less", deployment(), onContainer(func(c *corev1.Container) { c.ReadinessProbe = nil })},
		{"a variable more", deployment(), onContainer(func(c *corev1.Container) { c.Env = append(c.Env, corev1.EnvVar{Name: "X"}) })},
		{"an owner less", roleBinding(), on(func(r *rbacv1.RoleBinding) { r.Subjects = r.Subjects[1:] })},
		{"a quota for less", quota(), on(func(q *corev1.ResourceQuota) { delete(q.Spec.Hard, corev1.ResourcePods) })},
		{"another label", namespace(), on(func(n *corev1.Namespace) { n.Labels["pod-security.kubernetes.io/enforce"] = "baseline" })},
		{"a display name less", namespace(), on(func(n *corev1.Namespace) { n.Annotations = nil })},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, live := applied(t, test.object)
			next := test.object.DeepCopyObject().(client.Object)
			test.change(next)
			desired, created := applied(t, next)
			if isUnchanged(t, desired, live) {
				t.Fatal("it is not noticed")
			}
			written := put(t, live, merge(desired, live), fieldOwner, "")
			if !isUnchanged(t, desired, written) {
				t.Error("after it was written it would be written again")
			}
			if wrong := differences(created, written); wrong != "" {
				t.Errorf("it is not what a new object would be:\n%s", wrong)
			}
		})
	}
}

func TestWhoSetContent(t *testing.T) {
	for _, test := range []struct {
		name  string
		entry metav1.ManagedFieldsEntry
		want  bool
	}{
		{"the operator", entry(fieldOwner, "", `{"f:spec":{}}`), false},
		{"somebody else", entry("kubectl", "", `{"f:spec":{"f:replicas":{}}}`), true},
		{"somebody else, beside metadata", entry("kubectl", "", `{"f:metadata":{},"f:data":{"f:X":{}}}`), true},
		{"somebody else, metadata only", entry("kubectl", "", `{"f:metadata":{"f:labels":{}}}`), false},
		{"somebody else, metadata and status", entry("kubectl", "", `{"f:metadata":{},"f:status":{}}`), false},
		{"a controller, by the status", entry("kube-controller-manager", "status", `{"f:status":{}}`), false},
		{"somebody, by the scale", entry("hpa", "scale", `{"f:spec":{"f:replicas":{}}}`), false}, // its value is compared
		{"nobody knows what", metav1.ManagedFieldsEntry{Manager: "kubectl"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := setsContent(test.entry, fieldOwner)
			if err != nil || got != test.want {
				t.Errorf("setsContent = %t, %v; want %t", got, err, test.want)
			}
		})
	}
	if _, err := setsContent(entry("kubectl", "", `nonsense`), fieldOwner); err == nil {
		t.Error("an entry that can't be read is taken for harmless")
	}
}

func entry(manager, subresource, fields string) metav1.ManagedFieldsEntry {
	return metav1.ManagedFieldsEntry{Manager: manager, Subresource: subresource, FieldsV1: metav1.NewFieldsV1(fields)}
}

func TestIncludes(t *testing.T) {
	type object = map[string]any
	type list = []any
	for _, test := range []struct {
		name       string
		have, want any
		includes   bool
	}{
		{"the same value", "a", "a", true},
		{"another value", "a", "b", false},
		{"no value", nil, "a", false},
		{"a number and the same as text", int64(1), "1", false},
		{"false and nothing", nil, false, false},
		{"zero and nothing", nil, int64(0), false},
		{"nothing is asked for", "a", nil, true},
		{"a key more", object{"a": "1", "b": "2"}, object{"a": "1"}, true},
		{"a key less", object{"a": "1"}, object{"a": "1", "b": "2"}, false},
		{"an empty map is asked for", nil, object{}, true},
		{"a map is asked for", nil, object{"a": "1"}, false},
		{"deep down", object{"a": list{object{"b": "1", "c": "2"}}}, object{"a": list{object{"b": "1"}}}, true},
		{"deep down, another value", object{"a": list{object{"b": "2"}}}, object{"a": list{object{"b": "1"}}}, false},
		{"an item more", list{"a", "b"}, list{"a"}, false},
		{"an item less", list{"a"}, list{"a", "b"}, false},
		{"another order", list{"b", "a"}, list{"a", "b"}, false},
		{"a list is asked for", nil, list{"a"}, false},
		{"text for a list", "a", list{"a"}, false},
		{"text for a map", "a", object{"a": "1"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := includes(test.have, test.want); got != test.includes {
				t.Errorf("includes(%v, %v) = %t", test.have, test.want, got)
			}
		})
	}
}

func TestTheStampTellsOneDesiredStateFromAnother(t *testing.T) {
	seen := map[string]string{}
	for _, object := range desiredObjects() {
		annotations := maps.Clone(object.GetAnnotations())
		stamped, again := object.DeepCopyObject().(client.Object), object.DeepCopyObject().(client.Object)
		hash, err := stamp(stamped)
		if err != nil {
			t.Fatal(err)
		}
		if other, err := stamp(again); err != nil || other != hash {
			t.Errorf("the same %T has the stamps %s and %s", object, hash, other)
		}
		if stamped.GetAnnotations()["tenantry.dev/applied"] != hash {
			t.Errorf("the stamp is not among the annotations %v", stamped.GetAnnotations())
		}
		for key, value := range annotations {
			if stamped.GetAnnotations()[key] != value {
				t.Errorf("the annotation %s got lost", key)
			}
		}
		if former, found := seen[hash]; found {
			t.Errorf("%T and %s have the same stamp", object, former)
		}
		seen[hash] = reflect.TypeOf(object).String()
	}
}

func TestTheStampLeavesTheMapOfAnnotationsAlone(t *testing.T) {
	annotations := map[string]string{"a": "1"}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Annotations: annotations}}
	if _, err := stamp(object); err != nil {
		t.Fatal(err)
	}
	if len(annotations) != 1 {
		t.Errorf("the map that was given is now %v", annotations)
	}
}

func TestFinalizersOfOthersStay(t *testing.T) {
	live, desired := &corev1.ConfigMap{}, &corev1.ConfigMap{}
	live.Finalizers = []string{"example.com/theirs", "example.com/both"}
	desired.Finalizers = []string{"example.com/both", "example.com/ours"}
	want := []string{"example.com/theirs", "example.com/both", "example.com/ours"}
	if got := merge(desired, live).GetFinalizers(); !slices.Equal(got, want) {
		t.Errorf("they are %v, want %v", got, want)
	}
}
