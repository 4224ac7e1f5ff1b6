package dedicated

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/internal/naming"
)

// volume asks for more than there is and never for less, and leaves what the cluster has made of it.
func volume(in Inputs) *corev1.PersistentVolumeClaim {
	spec := in.Server.Spec.Dedicated
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: dataMeta(in.Server, naming.ServerVolume(in.Server.Name))}
	if in.Volume != nil {
		claim.Spec = *in.Volume.Spec.DeepCopy()
	} else {
		claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		if spec.StorageClassName != "" {
			claim.Spec.StorageClassName = &spec.StorageClassName
		}
	}
	if claim.Spec.Resources.Requests.Storage().Cmp(*spec.Storage) < 0 {
		claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: *spec.Storage}
	}
	return claim
}
