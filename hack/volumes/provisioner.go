package main

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/sig-storage-lib-external-provisioner/v13/controller"
)

const (
	// The annotations by which Kubernetes says what node the scheduler has chosen for the first pod of a claim, and what
	// made a volume.
	annotationSelectedNode  = "volume.kubernetes.io/selected-node"
	annotationProvisionedBy = "pv.kubernetes.io/provisioned-by"
	// minimum is the size of the smallest file system that mkfs.xfs makes.
	minimum = 300 << 20
)

// provisioner makes and deletes the volumes of one node.
type provisioner struct {
	node string
	disk disk
}

var (
	_ controller.Provisioner   = provisioner{}
	_ controller.Qualifier     = provisioner{}
	_ controller.DeletionGuard = provisioner{}
)

// ShouldProvision reports whether the scheduler has chosen this node.
func (p provisioner) ShouldProvision(_ context.Context, claim *corev1.PersistentVolumeClaim) bool {
	return claim.Annotations[annotationSelectedNode] == p.node
}

// Provision makes a volume of the size that was asked for, or of the smallest possible one.
func (p provisioner) Provision(ctx context.Context, options controller.ProvisionOptions) (*corev1.PersistentVolume, controller.ProvisioningState, error) {
	for _, mode := range options.PVC.Spec.AccessModes {
		if mode == corev1.ReadWriteMany || mode == corev1.ReadOnlyMany {
			return nil, controller.ProvisioningFinished, fmt.Errorf("a local volume is on one node; ask for ReadWriteOnce and not %s", mode)
		}
	}
	size := sizeFor(options.PVC)
	path, err := p.disk.create(ctx, options.PVName, size.Value())
	if err != nil {
		return nil, controller.ProvisioningFinished, err
	}
	return p.volume(options, path, size), controller.ProvisioningFinished, nil
}

// sizeFor returns the size of the volume of a claim, in whole MiB.
func sizeFor(claim *corev1.PersistentVolumeClaim) resource.Quantity {
	const unit = 1 << 20
	size := max(claim.Spec.Resources.Requests.Storage().Value(), minimum)
	return *resource.NewQuantity((size+unit-1)/unit*unit, resource.BinarySI)
}

func (p provisioner) volume(options controller.ProvisionOptions, path string, size resource.Quantity) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: options.PVName},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: size},
			AccessModes:                   options.PVC.Spec.AccessModes,
			PersistentVolumeReclaimPolicy: *options.StorageClass.ReclaimPolicy,
			VolumeMode:                    options.PVC.Spec.VolumeMode,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: path}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{p.node},
				}},
			}}}},
		},
	}
}

// ShouldDelete reports whether a volume is on this node.
func (p provisioner) ShouldDelete(_ context.Context, volume *corev1.PersistentVolume) bool {
	return p.has(volume)
}

// has reports whether a volume is on this node, and made by a provisioner of this kind.
func (p provisioner) has(volume *corev1.PersistentVolume) bool {
	if volume.Annotations[annotationProvisionedBy] != name || volume.Spec.NodeAffinity == nil || volume.Spec.NodeAffinity.Required == nil {
		return false
	}
	return slices.ContainsFunc(volume.Spec.NodeAffinity.Required.NodeSelectorTerms, func(term corev1.NodeSelectorTerm) bool {
		return slices.ContainsFunc(term.MatchExpressions, func(requirement corev1.NodeSelectorRequirement) bool {
			return requirement.Key == corev1.LabelHostname && slices.Contains(requirement.Values, p.node)
		})
	})
}

// Delete removes a volume with its data.
func (p provisioner) Delete(_ context.Context, volume *corev1.PersistentVolume) error {
	return p.disk.remove(volume.Name)
}
