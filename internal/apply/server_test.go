package apply

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

const fieldOwner = "tenantry"

var typed = applyconfigurations.NewTypeConverter(clientgoscheme.Scheme)

// put returns the live object after somebody has replaced it, or a subresource if one is given. The API server's
// own code computes the managed fields.
func put(t *testing.T, live, object client.Object, manager, subresource string) client.Object {
	t.Helper()
	gvk, err := apiutil.GVKForObject(object, clientgoscheme.Scheme)
	if err != nil {
		t.Fatal(err)
	}
	fields, err := managedfields.NewDefaultFieldManager(typed, clientgoscheme.Scheme, clientgoscheme.Scheme,
		clientgoscheme.Scheme, gvk, gvk.GroupVersion(), subresource, nil)
	if err != nil {
		t.Fatal(err)
	}
	object = object.DeepCopyObject().(client.Object)
	object.GetObjectKind().SetGroupVersionKind(gvk)
	setDefaults(object)
	setIdentity(object)
	if live == nil {
		live = emptyLike(t, object)
	}
	live = live.DeepCopyObject().(client.Object)
	live.GetObjectKind().SetGroupVersionKind(gvk)
	written, err := fields.Update(live, object, manager)
	if err != nil {
		t.Fatal(err)
	}
	return written.(client.Object)
}

func emptyLike(t *testing.T, object client.Object) client.Object {
	t.Helper()
	empty, err := clientgoscheme.Scheme.New(object.GetObjectKind().GroupVersionKind())
	if err != nil {
		t.Fatal(err)
	}
	return empty.(client.Object)
}

// setIdentity sets what nobody can change in the API server.
func setIdentity(object client.Object) {
	object.SetUID("uid")
	object.SetResourceVersion("1")
	object.SetCreationTimestamp(metav1.NewTime(time.Date(2026, time.March, 1, 9, 0, 0, 0, time.UTC)))
}

// setDefaults sets some of the many fields that the API server sets by default.
func setDefaults(object client.Object) {
	switch object := object.(type) {
	case *corev1.Namespace:
		object.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes}
		if object.Labels == nil {
			object.Labels = map[string]string{}
		}
		object.Labels[corev1.LabelMetadataName] = object.Name
	case *corev1.Service:
		setDefault(&object.Spec.ClusterIP, "10.96.0.10")
		setDefault(&object.Spec.Type, corev1.ServiceTypeClusterIP)
		setDefault(&object.Spec.SessionAffinity, corev1.ServiceAffinityNone)
		object.Spec.ClusterIPs = []string{object.Spec.ClusterIP}
		object.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	case *corev1.LimitRange:
		for i := range object.Spec.Limits {
			if object.Spec.Limits[i].Default == nil {
				object.Spec.Limits[i].Default = object.Spec.Limits[i].Max.DeepCopy()
			}
		}
	case *appsv1.Deployment:
		if object.Spec.RevisionHistoryLimit == nil {
			object.Spec.RevisionHistoryLimit = ptr.To[int32](10)
		}
		setDefault(&object.Spec.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
		pod := &object.Spec.Template.Spec
		setDefault(&pod.RestartPolicy, corev1.RestartPolicyAlways)
		setDefault(&pod.SchedulerName, corev1.DefaultSchedulerName)
		setDefault(&pod.DNSPolicy, corev1.DNSClusterFirst)
		for i := range pod.Containers {
			setDefault(&pod.Containers[i].ImagePullPolicy, corev1.PullIfNotPresent)
			setDefault(&pod.Containers[i].TerminationMessagePath, corev1.TerminationMessagePathDefault)
		}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// The objects below are desired states, with fields of each kind.

func objectMeta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: "acme", Name: name,
		Labels: map[string]string{"app.kubernetes.io/managed-by": "tenantry", "tenantry.dev/tenant": "acme"},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "tenantry.dev/v1alpha1", Kind: "Tenant", Name: "acme", UID: "tenant",
			Controller: new(true), BlockOwnerDeletion: new(false),
		}},
	}
}

func namespace() *corev1.Namespace {
	object := &corev1.Namespace{ObjectMeta: objectMeta("acme")}
	object.Namespace = ""
	object.Labels["pod-security.kubernetes.io/enforce"] = "restricted"
	object.Annotations = map[string]string{"tenantry.dev/display-name": "Acme Corp"}
	return object
}

func configMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: objectMeta("app-config"), Data: map[string]string{"LOG_LEVEL": "info", "MODE": "fast"}}
}

func secret() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: objectMeta("database"), Type: corev1.SecretTypeOpaque, Data: map[string][]byte{"password": []byte("x"), "empty": {}}}
}

func serviceAccount() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{ObjectMeta: objectMeta("app"), AutomountServiceAccountToken: new(false)}
}

func service() *corev1.Service {
	return &corev1.Service{ObjectMeta: objectMeta("app"), Spec: corev1.ServiceSpec{
		Selector: map[string]string{"tenantry.dev/tenant": "acme"},
		Ports:    []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080, TargetPort: intstr.FromString("http")}},
	}}
}

func quota() *corev1.ResourceQuota {
	return &corev1.ResourceQuota{ObjectMeta: objectMeta("tenant"), Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		corev1.ResourceRequestsCPU: resource.MustParse("1500m"), corev1.ResourcePods: resource.MustParse("10"),
	}}}
}

func limitRange() *corev1.LimitRange {
	return &corev1.LimitRange{ObjectMeta: objectMeta("containers"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{
		Type: corev1.LimitTypeContainer, Max: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4")},
	}}}}
}

func roleBinding() *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: objectMeta("tenant-admin"),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "admin"},
		Subjects: []rbacv1.Subject{
			{APIGroup: rbacv1.GroupName, Kind: "User", Name: "alice"}, {APIGroup: rbacv1.GroupName, Kind: "User", Name: "bob"},
		},
	}
}

func networkPolicy() *networkingv1.NetworkPolicy {
	return &networkingv1.NetworkPolicy{ObjectMeta: objectMeta("allow-database"), Spec: networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		Egress: []networkingv1.NetworkPolicyEgressRule{{
			To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "192.0.2.10/32"}}},
		}},
	}}
}

func deployment() *appsv1.Deployment {
	labels := map[string]string{"app.kubernetes.io/name": "app", "tenantry.dev/tenant": "acme"}
	return &appsv1.Deployment{ObjectMeta: objectMeta("app"), Spec: appsv1.DeploymentSpec{
		Replicas: ptr.To[int32](2),
		Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{"tenantry.dev/settings": "0123"}},
			Spec: corev1.PodSpec{
				SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true)},
				Containers: []corev1.Container{{
					Name: "app", Image: "registry.example/shop:1",
					Env: []corev1.EnvVar{{Name: "PORT", Value: "8080"}, {Name: "MODE", Value: "fast"}, {Name: "EMPTY"}},
					Resources: corev1.ResourceRequirements{
						Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("0.1")},
						Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("0.25Gi")},
					},
					ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
						TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)},
					}},
				}},
			},
		},
	}}
}

// desiredObjects returns an object of each kind.
func desiredObjects() []client.Object {
	return []client.Object{
		namespace(), configMap(), secret(), serviceAccount(), service(), quota(), limitRange(), roleBinding(), networkPolicy(), deployment(),
	}
}

// applied returns a desired object with its stamp, and the live object after the operator has created it.
func applied(t *testing.T, object client.Object) (desired, live client.Object) {
	t.Helper()
	desired = object.DeepCopyObject().(client.Object)
	if _, err := stamp(desired); err != nil {
		t.Fatal(err)
	}
	return desired, put(t, nil, desired, fieldOwner, "")
}

// isUnchanged reports whether the engine would not write the live object. The cache has no managed fields entries
// of the operator itself, so they must not matter.
func isUnchanged(t *testing.T, desired, live client.Object) bool {
	t.Helper()
	same, err := unchanged(desired, live, fieldOwner)
	if err != nil {
		t.Fatal(err)
	}
	cached := live.DeepCopyObject().(client.Object)
	cached.SetManagedFields(slices.DeleteFunc(cached.GetManagedFields(), func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == fieldOwner || entry.Subresource != ""
	}))
	if sameInCache, err := unchanged(desired, cached, fieldOwner); err != nil || sameInCache != same {
		t.Fatalf("unchanged: %t for what is live, %t (%v) for what the cache has of it", same, sameInCache, err)
	}
	return same
}

// managers returns the managers that own fields of an object.
func managers(object client.Object) []string {
	var names []string
	for _, entry := range object.GetManagedFields() {
		names = append(names, entry.Manager)
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
}
