package intern

import (
	"fmt"
	"reflect"
	"testing"
	"time"
	"unsafe"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// deployment returns a tenant's Deployment, with values of most kinds.
func deployment(tenant, memory string, replicas int32) *appsv1.Deployment {
	one := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{
		Namespace: tenant, Name: "app",
		Labels:            map[string]string{"app.kubernetes.io/managed-by": "tenantry", "tenant": tenant},
		Annotations:       map[string]string{},
		CreationTimestamp: metav1.NewTime(time.Unix(int64(replicas), 0)),
		ManagedFields:     []metav1.ManagedFieldsEntry{{Manager: "tenantry", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}},
	}}
	one.Spec.Replicas = &replicas
	one.Spec.Template.Spec.Containers = []corev1.Container{{
		Name: "app", Image: "registry.example/" + tenant,
		Env: []corev1.EnvVar{{Name: "DATABASE_URL", ValueFrom: &corev1.EnvVarSource{
			SecretKeyRef: &corev1.SecretKeySelector{Key: "DATABASE_URL", LocalObjectReference: corev1.LocalObjectReference{Name: "database"}},
		}}},
		Resources:      corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("http")}}},
	}}
	return one
}

func TestWhatIsSharedStaysTheSame(t *testing.T) {
	pool := &Pool{}
	var shared, apart []*appsv1.Deployment
	for n := range parts { // Each has several parts, so that most are forgotten again.
		// One in four equals an earlier one, and some differ only in unexported fields.
		one := deployment(fmt.Sprintf("tenant-%04d", n/4), fmt.Sprintf("%dMi", 64+n%3), int32(n%5))
		apart = append(apart, one.DeepCopy())
		pool.Share(one)
		shared = append(shared, one)
	}
	for n := range shared {
		if !reflect.DeepEqual(shared[n], apart[n]) {
			t.Fatalf("%d has become %v, and was %v", n, shared[n], apart[n])
		}
	}
}

func TestWhatIsEqualIsShared(t *testing.T) {
	pool := &Pool{}
	one, other := deployment("acme", "64Mi", 1), deployment("globex", "64Mi", 1)
	same := deployment("acme", "64Mi", 1)
	for _, object := range []*appsv1.Deployment{one, other, same} {
		pool.Share(object)
	}
	container := func(of *appsv1.Deployment) corev1.Container { return of.Spec.Template.Spec.Containers[0] }
	for _, test := range []struct {
		what string
		a, b any
		want bool
	}{
		{"the labels of two objects of a tenant", one.Labels, same.Labels, true},
		{"the labels of two tenants", one.Labels, other.Labels, false},
		{"the variables of two tenants", container(one).Env, container(other).Env, true},
		{"the limits of two tenants", container(one).Resources.Limits, container(other).Resources.Limits, true},
		{"the probes of two tenants", container(one).ReadinessProbe, container(other).ReadinessProbe, true},
		{"the containers of two tenants", one.Spec.Template.Spec.Containers, other.Spec.Template.Spec.Containers, false},
		{"who has set what", one.ManagedFields, other.ManagedFields, true},
	} {
		if got := reflect.ValueOf(test.a).Pointer() == reflect.ValueOf(test.b).Pointer(); got != test.want {
			t.Errorf("%s: shared %t, want %t", test.what, got, test.want)
		}
	}
}

func TestAnEmptyMapIsNotNil(t *testing.T) {
	pool := &Pool{}
	empty, missing := deployment("acme", "64Mi", 1), deployment("acme", "64Mi", 1)
	missing.Annotations = nil
	pool.Share(empty)
	pool.Share(missing)
	if empty.Annotations == nil || missing.Annotations != nil {
		t.Errorf("an empty map has become %v, and none %v", empty.Annotations, missing.Annotations)
	}
}

// forgetAll makes the pool forget everything.
func forgetAll(pool *Pool) {
	var others struct{ Texts []*string }
	for n := range 32 * parts {
		others.Texts = append(others.Texts, new(fmt.Sprintf("some text or other %d", n)))
	}
	pool.Share(&others)
}

func TestWhatOthersMayReadIsNotWritten(t *testing.T) {
	pool := &Pool{}
	one, same := deployment("acme-of-coyote", "64Mi", 1), deployment("acme-of-coyote", "64Mi", 1)
	pool.Share(one)
	pool.Share(same)
	image := &same.Spec.Template.Spec.Containers[0].Image
	label, text := addressOf(same.Labels["tenant"]), addressOf(*image)
	forgetAll(pool)
	pool.Share(deployment("acme-of-coyote", "64Mi", 1))
	pool.Share(one)
	if addressOf(same.Labels["tenant"]) != label {
		t.Error("a map that another object shares was written")
	}
	if addressOf(*image) != text {
		t.Error("a slice that another object shares was written")
	}
}

func addressOf(text string) string { return fmt.Sprint(unsafe.StringData(text)) }
