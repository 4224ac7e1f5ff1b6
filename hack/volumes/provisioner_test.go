package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

func claim(size, node string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{annotationSelectedNode: node}},
		Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
		}},
	}
}

func TestAVolumeHasAtLeastTheSizeOfItsClaim(t *testing.T) {
	for request, want := range map[string]string{"1Gi": "1Gi", "128Mi": "300Mi", "1G": "954Mi"} {
		if got := sizeFor(claim(request, "")); got.String() != want {
			t.Errorf("a claim of %s gets %s, want %s", request, got.String(), want)
		}
	}
}

func TestAVolumeIsOfTheNodeThatMadeIt(t *testing.T) {
	here, elsewhere := provisioner{node: "real-1"}, provisioner{node: "real-2"}
	wanted := claim("1Gi", "real-1")
	if !here.ShouldProvision(t.Context(), wanted) || elsewhere.ShouldProvision(t.Context(), wanted) {
		t.Error("a claim is not provided by the node that was selected, and by no other one")
	}
	made := here.volume(controller.ProvisionOptions{
		PVC: wanted, PVName: "pvc-1", StorageClass: &storagev1.StorageClass{ReclaimPolicy: new(corev1.PersistentVolumeReclaimDelete)},
	}, "/volumes/pvc-1", sizeFor(wanted))
	if here.has(made) {
		t.Error("a volume counts as one of these without the annotation that the controller adds")
	}
	made.Annotations = map[string]string{annotationProvisionedBy: name}
	if !here.ShouldDelete(t.Context(), made) || elsewhere.ShouldDelete(t.Context(), made) {
		t.Error("a volume is not deleted by its own node, and by no other one")
	}
}

func TestAVolumeThatIsNotThereIsGone(t *testing.T) {
	if err := (disk{t.TempDir()}).remove("pvc-1"); err != nil {
		t.Error(err)
	}
}
