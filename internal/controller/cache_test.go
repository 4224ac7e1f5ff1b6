package controller

import (
	"encoding/json"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/workload"
	"github.com/tenantry/tenantry/test/builders"
)

func TestTheCacheKeepsWhatIsRead(t *testing.T) {
	mine := metav1.ManagedFieldsEntry{Manager: naming.FieldOwner}
	status := metav1.ManagedFieldsEntry{Manager: "kube-controller-manager", Subresource: "status"}
	foreign := metav1.ManagedFieldsEntry{Manager: "kubectl-edit"}
	config := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{mine, status, foreign}},
		Data:       map[string]string{"LOG_LEVEL": "info"},
	}
	if _, err := trim(config); err != nil {
		t.Fatal(err)
	}
	if len(config.ManagedFields) != 1 || config.ManagedFields[0].Manager != "kubectl-edit" || len(config.Data) != 1 {
		t.Errorf("of a ConfigMap it keeps %+v", config)
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{ManagedFields: []metav1.ManagedFieldsEntry{mine, status, foreign}}}
	if _, err := trim(service); err != nil {
		t.Fatal(err)
	}
	if len(service.ManagedFields) != 1 || service.ManagedFields[0].Manager != naming.FieldOwner {
		t.Errorf("of a Service, of which the operator owns fields, it keeps %+v", service)
	}
	pod := builders.Pod("acme", "app-1").Waiting("app", "ImagePullBackOff", "Back-off").Build()
	pod.Labels, pod.ManagedFields = naming.AppLabels("acme"), []metav1.ManagedFieldsEntry{foreign}
	pod.Spec.Containers = []corev1.Container{{Name: "app"}}
	if _, err := trim(pod); err != nil {
		t.Fatal(err)
	}
	reason, _ := workload.PodTrouble(pod)
	if len(pod.Spec.Containers) > 0 || len(pod.ManagedFields) > 0 || len(pod.Labels) == 0 || reason != "ImagePullBackOff" {
		t.Errorf("of a Pod it keeps %+v", pod)
	}
	pod.Status.ContainerStatuses[0].State.Waiting.Reason = "ContainerCreating"
	pod.Spec.NodeName, pod.Spec.RestartPolicy = "node-1", corev1.RestartPolicyNever
	if _, err := trim(pod); err != nil {
		t.Fatal(err)
	}
	if len(pod.Status.ContainerStatuses) == 0 || pod.Spec.NodeName != "node-1" || pod.Spec.RestartPolicy != corev1.RestartPolicyNever {
		t.Errorf("of a Pod that starts it keeps %+v", pod)
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if _, err := trim(pod); err != nil {
		t.Fatal(err)
	}
	if len(pod.Status.ContainerStatuses) > 0 {
		t.Errorf("of a Pod with which nothing is wrong it keeps %+v", pod.Status)
	}
	if object, err := trim("something else"); err != nil || object != "something else" {
		t.Errorf("of something else it makes %v, %v", object, err)
	}
}

func TestTheCacheKeepsWhatIsWrongWithADeployment(t *testing.T) {
	bad := []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota"},
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded"},
	}
	good := []appsv1.DeploymentCondition{
		{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue},
		{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionFalse},
		{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
	}
	deployment := &appsv1.Deployment{Status: appsv1.DeploymentStatus{ReadyReplicas: 2, Conditions: slices.Concat(good, bad)}}
	if _, err := trim(deployment); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(deployment.Status.Conditions, bad) || deployment.Status.ReadyReplicas != 2 {
		t.Errorf("it keeps %+v", deployment.Status)
	}
}

// inCache returns the objects of a tenant as they come from the API server, as JSON.
func inCache(t *testing.T, name string) map[reflect.Type][][]byte {
	t.Helper()
	tenant := effective.Of(builders.Tenant(name).Owner(v1alpha1.OwnerKindUser, "alice@"+name, v1alpha1.OwnerRoleAdmin).
		Quota(corev1.ResourceRequestsCPU, "8").Quota(corev1.ResourcePods, "20").Database("shared").
		App("registry.example/" + name + ":1.0.0").Port(8080).Build())
	inputs := parts.Inputs{Tenant: tenant, Server: builders.DatabaseServer("shared", "pg.example").Build(), Login: &parts.Login{
		Database: name, Username: name + "_a", Password: "password of " + name,
	}}
	result := map[reflect.Type][][]byte{}
	for _, part := range parts.All {
		for n, object := range part.Objects(inputs) {
			object.SetUID(types.UID(fmt.Sprintf("%s-%s-%d", name, part, n)))
			object.SetResourceVersion(fmt.Sprintf("%s%d", name, n))
			object.SetAnnotations(map[string]string{"tenantry.dev/applied": name + object.GetName()})
			object.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "tenantry.dev/v1alpha1", Kind: "Tenant", Name: name, UID: types.UID(name)}})
			text, err := json.Marshal(object)
			if err != nil {
				t.Fatal(err)
			}
			kind := reflect.TypeOf(object).Elem()
			result[kind] = append(result[kind], text)
		}
	}
	return result
}

// heap returns how many bytes of the heap are in use.
func heap() int {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	return int(now.HeapAlloc)
}

func TestTheCacheNeedsLittleOfATenant(t *testing.T) {
	const tenants, most = 500, 14 << 10
	options := CacheOptions()
	transforms := map[reflect.Type]toolscache.TransformFunc{}
	for like, by := range options.ByObject {
		transforms[reflect.TypeOf(like).Elem()] = by.Transform
	}
	fill := func(from, to int) (cached []any) {
		for n := from; n < to; n++ {
			for kind, texts := range inCache(t, fmt.Sprintf("tenant-%04d", n)) {
				for _, text := range texts {
					object := reflect.New(kind).Interface()
					if err := json.Unmarshal(text, object); err != nil {
						t.Fatal(err)
					}
					if _, err := transforms[kind](object); err != nil {
						t.Fatal(err)
					}
					cached = append(cached, object)
				}
			}
		}
		return cached
	}
	fill(0, tenants) // What all tenants share is there from then on.
	before := heap()
	cached := fill(tenants, 2*tenants)
	if took := (heap() - before) / tenants; took > most {
		t.Errorf("%d objects of a tenant take %d bytes, want %d at most", len(cached)/tenants, took, most)
	}
	runtime.KeepAlive(cached)
}
