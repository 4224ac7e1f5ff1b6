package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tenantry/tenantry/internal/naming"
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
	if object, err := trim("something else"); err != nil || object != "something else" {
		t.Errorf("of something else it makes %v, %v", object, err)
	}
}
