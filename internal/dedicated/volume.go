package dedicated

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/tenantry/tenantry/internal/naming"
)

// Storage returns the requested size of each volume of the server.
func Storage(in Inputs) *resource.Quantity {
	if in.Volume != nil {
		return in.Volume.Spec.Resources.Requests.Storage()
	}
	return in.Server.Spec.Dedicated.Storage
}

// Replaceable reports whether the claim differs from the spec and isn't bound yet, so that nothing is lost when it
// is replaced.
func (in Inputs) Replaceable() bool {
	claim, spec := in.Volume, in.Server.Spec.Dedicated
	if claim == nil || claim.Spec.VolumeName != "" || claim.Spec.DataSourceRef != nil || claim.Status.Phase != corev1.ClaimPending ||
		claim.Annotations[naming.AnnotationDatabase] != spec.Database || Adopts(in.Server) {
		return false
	}
	return spec.StorageClassName != claim.Annotations[naming.AnnotationStorageClass] || claim.Spec.Resources.Requests.Storage().Cmp(*spec.Storage) != 0
}

// volume returns the desired claim. It never requests less than the live claim does, and keeps what the cluster
// has set in it. The API server refuses to change the size of a claim that isn't bound yet.
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
