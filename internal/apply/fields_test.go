package apply

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/managedfields"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// byFields owns fields, and keeps replicas.
var byFields = fields{engine: &Engine{fieldOwner: fieldOwner}, keep: [][]string{{"spec", "replicas"}}}

// workloads returns desired objects that are owned by their fields.
func workloads() []client.Object {
	return []client.Object{serviceAccount(), service(), deployment(), &policyv1.PodDisruptionBudget{
		ObjectMeta: objectMeta("app"),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: new(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "app"}},
		},
	}}
}

// serverSideApply returns the live object after a server-side apply of an intent, by the API server's own code.
func serverSideApply(t *testing.T, live client.Object, intent map[string]any, manager string) client.Object {
	t.Helper()
	gvk, err := apiutil.GVKForObject(live, clientgoscheme.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	manages, err := managedfields.NewDefaultFieldManager(typed, clientgoscheme.Scheme, clientgoscheme.Scheme,
		clientgoscheme.Scheme, gvk, gvk.GroupVersion(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	live = live.DeepCopyObject().(client.Object)
	live.GetObjectKind().SetGroupVersionKind(gvk)
	written, err := manages.Apply(live, &unstructured.Unstructured{Object: intent}, manager, true)
	if err != nil {
		t.Fatal(err)
	}
	setDefaults(written.(client.Object))
	return written.(client.Object)
}

// bring returns the live object after the engine has written the desired state over it.
func bring(t *testing.T, desired, live client.Object) client.Object {
	t.Helper()
	live = live.DeepCopyObject().(client.Object)
	if _, err := byFields.rearrange(desired, live); err != nil {
		t.Fatal(err)
	}
	gvk, err := apiutil.GVKForObject(desired, clientgoscheme.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	patch, err := patchOf(desired, live, gvk)
	if err != nil {
		t.Fatal(err)
	}
	return serverSideApply(t, live, patch, fieldOwner)
}

// isHeld reports whether the engine would not write the live object. The cache has only the operator's own managed
// fields entries of it, so the others must not matter.
func isHeld(t *testing.T, desired, live client.Object) bool {
	t.Helper()
	cached := live.DeepCopyObject().(client.Object)
	cached.SetManagedFields(slices.DeleteFunc(cached.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager != fieldOwner || entry.Subresource != ""
	}))
	held, err := byFields.unchanged(desired, cached)
	if err != nil {
		t.Fatal(err)
	}
	return held
}

// statesOf returns the two states in which a workload is as desired: as it was created, or written by PUT by an
// older version, and as it was applied.
func statesOf(t *testing.T, object client.Object) (desired client.Object, states map[string]client.Object) {
	t.Helper()
	desired, created := applied(t, object)
	return desired, map[string]client.Object{"created": created, "applied": bring(t, desired, created)}
}

func TestAWorkloadThatIsAsDesiredIsLeftAlone(t *testing.T) {
	for _, object := range workloads() {
		desired, states := statesOf(t, object)
		for state, live := range states {
			t.Run(reflect.TypeOf(object).Elem().Name()+" "+state, func(t *testing.T) {
				if !isHeld(t, desired, live) {
					t.Errorf("it would be written again; its fields are %v", live.GetManagedFields())
				}
				if wrong := differences(states["created"], live); wrong != "" {
					t.Errorf("it is not as it was created:\n%s", wrong)
				}
			})
		}
	}
}

func TestWhatIsAppliedIsTheOperatorsByServerSideApplyAlone(t *testing.T) {
	for _, object := range workloads() {
		_, states := statesOf(t, object)
		entries := states["applied"].GetManagedFields()
		if len(entries) != 1 || entries[0].Manager != fieldOwner || entries[0].Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("the fields of %T belong to %v", object, entries)
		}
	}
}

func onAccount(change func(*corev1.ServiceAccount)) func(client.Object) { return on(change) }

func onPod(change func(*corev1.PodTemplateSpec)) func(client.Object) {
	return on(func(d *appsv1.Deployment) { change(&d.Spec.Template) })
}

func TestAFieldOfTheOperatorThatSomebodyChangesIsSetRight(t *testing.T) {
	for _, test := range []drift{
		{"a value is another one", deployment(), "", onContainer(func(c *corev1.Container) { c.Image = "registry.example/shop:2" })},
		{"the app is scaled", deployment(), "scale", on(func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To[int32](9) })},
		{"a variable is removed", deployment(), "", onContainer(func(c *corev1.Container) { c.Env = c.Env[1:] })},
		{"the variables are in another order", deployment(), "", onContainer(func(c *corev1.Container) { slices.Reverse(c.Env) })},
		{"a variable has another value", deployment(), "", onContainer(func(c *corev1.Container) { c.Env[1].Value = "slow" })},
		{"a limit is lifted", deployment(), "", onContainer(func(c *corev1.Container) { c.Resources.Limits = nil })},
		{"a request is raised", deployment(), "", onContainer(func(c *corev1.Container) { c.Resources.Requests[corev1.ResourceCPU] = resource.MustParse("1") })},
		{"a probe is removed", deployment(), "", onContainer(func(c *corev1.Container) { c.ReadinessProbe = nil })},
		{"what keeps root out is removed", deployment(), "", onPod(func(p *corev1.PodTemplateSpec) { p.Spec.SecurityContext = nil })},
		{"what keeps root out is turned around", deployment(), "", onPod(func(p *corev1.PodTemplateSpec) { p.Spec.SecurityContext.RunAsNonRoot = new(false) })},
		{"the settings' revision is another one", deployment(), "", onPod(func(p *corev1.PodTemplateSpec) { p.Annotations["tenantry.dev/settings"] = "4567" })},
		{"the app's container is renamed", deployment(), "", onContainer(func(c *corev1.Container) { c.Name = "mine" })},
		{"a token is mounted", serviceAccount(), "", onAccount(func(s *corev1.ServiceAccount) { s.AutomountServiceAccountToken = new(true) })},
		{"nobody says whether a token is mounted", serviceAccount(), "", onAccount(func(s *corev1.ServiceAccount) { s.AutomountServiceAccountToken = nil })},
		{"the Service selects more pods", service(), "", on(func(s *corev1.Service) { s.Spec.Selector = map[string]string{} })},
		{"the Service selects fewer pods", service(), "", on(func(s *corev1.Service) { s.Spec.Selector["canary"] = "true" })},
		{"the Service listens on another port", service(), "", on(func(s *corev1.Service) { s.Spec.Ports[0].Port = 80 })},
		{"the label that the operator finds it by is removed", service(), "", on(func(s *corev1.Service) { s.Labels = nil })},
		{"the stamp is removed", serviceAccount(), "", onAccount(func(s *corev1.ServiceAccount) { s.Annotations = nil })},
	} {
		desired, states := statesOf(t, test.object)
		for state, live := range states {
			t.Run(test.name+", "+state, func(t *testing.T) {
				changed := live.DeepCopyObject().(client.Object)
				test.change(changed)
				changed = put(t, live, changed, "kubectl-edit", test.subresource)
				if isHeld(t, desired, changed) {
					t.Fatal("it is not noticed")
				}
				undone := bring(t, desired, changed)
				if !isHeld(t, desired, undone) {
					t.Errorf("after it was undone it would be written again; fields are owned by %v", managers(undone))
				}
				if left := differences(live, undone); left != "" && test.name != "the app's container is renamed" &&
					test.name != "the Service listens on another port" {
					t.Errorf("it was not undone:\n%s", left)
				}
			})
		}
	}
}

func TestFieldsOfOthersStay(t *testing.T) {
	for _, test := range []drift{
		{"a rollout is asked for", deployment(), "", onPod(func(p *corev1.PodTemplateSpec) {
			p.Annotations["kubectl.kubernetes.io/restartedAt"] = "2026-03-01T09:00:00Z"
		})},
		{"a sidecar is injected behind the app", deployment(), "", onPod(func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "proxy", Image: "proxy"})
		})},
		{"a sidecar is injected before the app", deployment(), "", onPod(func(p *corev1.PodTemplateSpec) {
			p.Spec.Containers = slices.Insert(p.Spec.Containers, 0, corev1.Container{Name: "proxy", Image: "proxy"})
		})},
		{"a variable is added", deployment(), "", onContainer(func(c *corev1.Container) {
			c.Env = slices.Insert(c.Env, 1, corev1.EnvVar{Name: "X", Value: "y"})
		})},
		{"a limit is added", deployment(), "", onContainer(func(c *corev1.Container) { c.Resources.Limits[corev1.ResourceCPU] = resource.MustParse("4") })},
		{"a default is set to another value", deployment(), "", onPod(func(p *corev1.PodTemplateSpec) { p.Spec.DNSPolicy = corev1.DNSDefault })},
		{"history is kept shorter", deployment(), "", on(func(d *appsv1.Deployment) { d.Spec.RevisionHistoryLimit = ptr.To[int32](2) })},
		{"secrets", serviceAccount(), "", onAccount(func(s *corev1.ServiceAccount) { s.Secrets = []corev1.ObjectReference{{Name: "app-token"}} })},
		{"imagePullSecrets", serviceAccount(), "", onAccount(func(s *corev1.ServiceAccount) {
			s.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
		})},
		{"an annotation", service(), "", on(func(s *corev1.Service) { s.Annotations["service.example/scrape"] = "true" })},
		{"a label", service(), "", on(func(s *corev1.Service) { s.Labels["team"] = "payments" })},
		{"the cluster reports a status", deployment(), "status", on(func(d *appsv1.Deployment) { d.Status.Replicas = 2 })},
	} {
		desired, states := statesOf(t, test.object)
		for state, live := range states {
			t.Run(test.name+", "+state, func(t *testing.T) {
				changed := live.DeepCopyObject().(client.Object)
				test.change(changed)
				changed = put(t, live, changed, "somebody", test.subresource)
				if !isHeld(t, desired, changed) {
					t.Error("it is taken for drift")
				}
				// A write for another reason must not undo it, either.
				if lost := differences(changed, bring(t, desired, changed)); lost != "" {
					t.Errorf("it is undone:\n%s", lost)
				}
			})
		}
	}
}

func TestAFieldThatIsNoLongerDesiredGoes(t *testing.T) {
	for _, test := range []drift{
		{"a probe", deployment(), "", onContainer(func(c *corev1.Container) { c.ReadinessProbe = nil })},
		{"all limits", deployment(), "", onContainer(func(c *corev1.Container) { c.Resources.Limits = nil })},
		{"all resources", deployment(), "", onContainer(func(c *corev1.Container) { c.Resources = corev1.ResourceRequirements{} })},
		{"a variable", deployment(), "", onContainer(func(c *corev1.Container) { c.Env = c.Env[1:] })},
		{"all variables", deployment(), "", onContainer(func(c *corev1.Container) { c.Env = nil })},
		{"a label", service(), "", on(func(s *corev1.Service) { delete(s.Labels, "app.kubernetes.io/managed-by") })},
	} {
		_, states := statesOf(t, test.object)
		for state, live := range states {
			t.Run(test.name+", "+state, func(t *testing.T) {
				next := test.object.DeepCopyObject().(client.Object)
				test.change(next)
				desired, created := applied(t, next)
				if isHeld(t, desired, live) {
					t.Fatal("it is not noticed")
				}
				written := bring(t, desired, live)
				if !isHeld(t, desired, written) {
					t.Error("after it was written it would be written again")
				}
				if wrong := differences(created, written); wrong != "" {
					t.Errorf("it is not what a new object would be:\n%s", wrong)
				}
			})
		}
	}
}

func TestAFieldThatWasChangedAndChangedBackIsTakenBack(t *testing.T) {
	desired, states := statesOf(t, deployment())
	for state, live := range states {
		away := live.DeepCopyObject().(client.Object)
		away.(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Env[1].Value = "slow"
		back := put(t, put(t, live, away, "kubectl-edit", ""), live, "kubectl-edit", "")
		if differences(live, back) != "" {
			t.Fatal("it is not back")
		}
		if isHeld(t, desired, back) {
			t.Errorf("%s: the variable is somebody else's, and would stay when it is no longer desired", state)
		}
		if !isHeld(t, desired, bring(t, desired, back)) {
			t.Errorf("%s: it is not the operator's again", state)
		}
	}
}

func TestReplicasThatAreHandedOverStayAsTheyAre(t *testing.T) {
	without := deployment()
	without.Spec.Replicas = nil
	replicas := func(object client.Object) int32 { return ptr.Deref(object.(*appsv1.Deployment).Spec.Replicas, 0) }
	desiredWithout, _ := applied(t, without)
	desiredWith, states := statesOf(t, deployment())
	for state, live := range states {
		handedOver := bring(t, desiredWithout, live)
		if got := replicas(handedOver); got != 2 {
			t.Errorf("%s: there are %d replicas after they were handed over, want 2", state, got)
		}
		scaled := handedOver.DeepCopyObject().(client.Object)
		scaled.(*appsv1.Deployment).Spec.Replicas = ptr.To[int32](5)
		scaled = put(t, handedOver, scaled, "kube-controller-manager", "scale")
		if !isHeld(t, desiredWithout, scaled) {
			t.Errorf("%s: that somebody else scales it is taken for drift", state)
		}
		if got := replicas(bring(t, desiredWithout, scaled)); got != 5 {
			t.Errorf("%s: a write scales it from 5 to %d", state, got)
		}
		if isHeld(t, desiredWith, scaled) {
			t.Errorf("%s: that it is the operator's to scale again is not noticed", state)
		}
		if got := replicas(bring(t, desiredWith, scaled)); got != 2 {
			t.Errorf("%s: there are %d replicas after they were taken back, want 2", state, got)
		}
	}
}

func TestWhatIsAppliedHasNoEmptyObjects(t *testing.T) {
	object := deployment()
	object.Spec.Template.Spec.Containers[0].Resources = corev1.ResourceRequirements{}
	object.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	intent, err := intentOf(object)
	if err != nil {
		t.Fatal(err)
	}
	spec := intent["spec"].(map[string]any)
	pod := spec["template"].(map[string]any)["spec"].(map[string]any)
	if _, found := spec["strategy"]; found {
		t.Error("a strategy that nobody has set is there")
	}
	if _, found := pod["containers"].([]any)[0].(map[string]any)["resources"]; found {
		t.Error("resources that nobody has set are there")
	}
	if _, found := pod["volumes"].([]any)[0].(map[string]any)["emptyDir"]; !found {
		t.Error("a volume that was set is not there")
	}
	if keys := slices.Sorted(maps.Keys(intent)); !slices.Equal(keys, []string{"metadata", "spec"}) {
		t.Errorf("it has %v", keys)
	}
}

func TestManagedFieldsThatCannotBeReadAreAnError(t *testing.T) {
	object := configMap()
	object.ManagedFields = []metav1.ManagedFieldsEntry{entry(fieldOwner, "", `nonsense`)}
	if _, err := byFields.unchanged(configMap(), object); err == nil {
		t.Error("they are taken for harmless")
	}
}
