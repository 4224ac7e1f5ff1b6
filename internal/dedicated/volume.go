package dedicated

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/internal/naming"
)

// Storage is the size of each volume of the server, as it is asked for.
func Storage(in Inputs) *resource.Quantity {
	if claim, ok := Data(in).(*corev1.PersistentVolumeClaim); ok {
		return claim.Spec.Resources.Requests.Storage()
	}
	return in.Server.Spec.Dedicated.Storage
}

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
