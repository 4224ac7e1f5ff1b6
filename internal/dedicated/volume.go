package dedicated

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/internal/naming"
)

// Storage is the size of each volume of the server, as it is asked for.
func Storage(in Inputs) *resource.Quantity {
	if in.Volume != nil {
		return in.Volume.Spec.Resources.Requests.Storage()
	}
	return in.Server.Spec.Dedicated.Storage
}

// Replaceable says whether the claim asks for another volume than the spec does, and is for an empty one
// that it has yet to get, so that nothing is lost with it.
func (in Inputs) Replaceable() bool {
	claim, spec := in.Volume, in.Server.Spec.Dedicated
	if claim == nil || claim.Spec.VolumeName != "" || claim.Spec.DataSourceRef != nil || claim.Status.Phase != corev1.ClaimPending ||
		claim.Annotations[naming.AnnotationDatabase] != spec.Database || Adopts(in.Server) {
		return false
	}
	return spec.StorageClassName != claim.Annotations[naming.AnnotationStorageClass] || claim.Spec.Resources.Requests.Storage().Cmp(*spec.Storage) != 0
}

// volume asks for more than there is and never for less, and leaves what the cluster has made of it. The
// API server takes no other size of a claim that has no volume yet.
func volume(in Inputs) *corev1.PersistentVolumeClaim {
	spec := in.Server.Spec.Dedicated
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: dataMeta(in.Server, naming.ServerVolume(in.Server.Name))}
	if spec.StorageClassName != "" {
		claim.Annotations[naming.AnnotationStorageClass] = spec.StorageClassName
	}
	if in.Volume != nil {
		claim.Spec = *in.Volume.Spec.DeepCopy()
	} else {
		claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
		if spec.StorageClassName != "" {
			claim.Spec.StorageClassName = &spec.StorageClassName
		}
	}
	grows := in.Volume == nil || in.Volume.Status.Phase == corev1.ClaimBound
	if grows && claim.Spec.Resources.Requests.Storage().Cmp(*spec.Storage) < 0 {
		claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: *spec.Storage}
	}
	return claim
}
