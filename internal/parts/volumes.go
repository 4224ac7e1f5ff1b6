package parts

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
)

// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;update

// Claims returns the PersistentVolumeClaims of the app's storage. They are no objects of the part: nothing but the end
// of their namespace removes them, since nobody else has the data.
func Claims(in Inputs) []*corev1.PersistentVolumeClaim {
	var claims []*corev1.PersistentVolumeClaim
	for _, volume := range stored(in.Tenant, in.Release) {
		claims = append(claims, claim(in, naming.AppClaim(volume.Name), volume.Storage))
	}
	return claims
}

// IntendedClaims returns what Claims returns while none of them is there: without what the live ones have.
func IntendedClaims(in Inputs) []*corev1.PersistentVolumeClaim {
	in.Claims = nil
	return Claims(in)
}

// stored returns the volumes with storage of the app. Those of a release that waits for its migration are among them,
// since the migration may have them, too.
func stored(tenant *effective.Tenant, release Release) (volumes []v1alpha1.AppVolume) {
	for _, of := range []*effective.Tenant{release.Next, tenant} {
		if of == nil || of.Spec.App == nil {
			continue
		}
		for _, volume := range of.Spec.App.Volumes {
			known := slices.ContainsFunc(volumes, func(other v1alpha1.AppVolume) bool { return other.Name == volume.Name })
			if volume.Storage != nil && !known {
				volumes = append(volumes, volume)
			}
		}
	}
	return volumes
}

// claim returns a PersistentVolumeClaim as it can be: of one that exists, only the size can change, and only grow.
func claim(in Inputs, name string, storage *v1alpha1.AppStorage) *corev1.PersistentVolumeClaim {
	result := &corev1.PersistentVolumeClaim{ObjectMeta: meta(in.Tenant, name)}
	result.Annotations = map[string]string{naming.AnnotationTenantUID: string(in.Tenant.UID)}
	live := in.claimed(name)
	if live != nil {
		result.Spec = *live.Spec.DeepCopy()
	} else {
		result.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{accessMode(storage)}
		if class := storageClass(in, storage); class != "" {
			result.Spec.StorageClassName = &class
		}
	}
	if grows := live == nil || live.Status.Phase == corev1.ClaimBound; grows && result.Spec.Resources.Requests.Storage().Cmp(storage.Size) < 0 {
		result.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: storage.Size}
	}
	return result
}

// storageClass returns the StorageClass of new storage; empty for the cluster's default. Storage that exists keeps its own
// when the default changes.
func storageClass(in Inputs, storage *v1alpha1.AppStorage) string {
	if rule := in.Tenant.Spec.Policy.StorageClasses; rule != nil {
		return cmp.Or(storage.StorageClassName, rule.Default)
	}
	return storage.StorageClassName
}

func accessMode(storage *v1alpha1.AppStorage) corev1.PersistentVolumeAccessMode {
	return cmp.Or(storage.AccessMode, corev1.ReadWriteOnce)
}

// claimed returns the PersistentVolumeClaim of a name; nil if there is none.
func (in Inputs) claimed(name string) *corev1.PersistentVolumeClaim {
	at := slices.IndexFunc(in.Claims, func(claim corev1.PersistentVolumeClaim) bool { return claim.Name == name })
	if at < 0 {
		return nil
	}
	return &in.Claims[at]
}

// ClaimsUnmet returns what the spec asks of storage that exists and can't have it; nil if nothing.
func ClaimsUnmet(in Inputs) error {
	var found []problem.Problem
	for _, volume := range stored(in.Tenant, in.Release) {
		storage, live := volume.Storage, in.claimed(naming.AppClaim(volume.Name))
		if live == nil {
			continue
		}
		if has := live.Spec.Resources.Requests.Storage(); has.Cmp(storage.Size) > 0 {
			found = append(found, problem.VolumeShrinks(volume.Name, has.String(), storage.Size.String()))
		}
		if has := live.Spec.StorageClassName; storage.StorageClassName != "" && has != nil && *has != storage.StorageClassName {
			found = append(found, problem.VolumeFixed(volume.Name, "storageClassName", *has))
		}
		if has := live.Spec.AccessModes; !slices.Contains(has, accessMode(storage)) && len(has) > 0 {
			found = append(found, problem.VolumeFixed(volume.Name, "accessMode", string(has[0])))
		}
	}
	if len(found) == 0 {
		return nil
	}
	return problem.Together(found...)
}

// keptClaims says which storage is left of volumes that the spec doesn't have any more; empty if there is none.
func keptClaims(o Observation) string {
	wanted := map[string]bool{}
	for _, volume := range stored(o.Tenant, o.Release) {
		wanted[naming.AppClaim(volume.Name)] = true
	}
	var kept []string
	for _, claim := range o.Claims {
		if !wanted[claim.Name] && claim.DeletionTimestamp.IsZero() {
			kept = append(kept, claim.Name)
		}
	}
	if len(kept) == 0 {
		return ""
	}
	slices.Sort(kept)
	return "PersistentVolumeClaim " + strings.Join(kept, ", ") + " has data of a volume that spec.app.volumes no longer has; delete it if nobody needs that."
}

// volumes returns the volumes of the pods that run a program.
func volumes(in Inputs, of program) []corev1.Volume {
	settings, _ := settingsVolumes(in)
	result := append(caVolumes(in), settings...)
	for _, volume := range in.Tenant.Spec.App.Volumes {
		if mounts(volume, of) {
			result = append(result, corev1.Volume{Name: volume.Name, VolumeSource: volumeSource(volume)})
		}
	}
	return result
}

// mounts reports whether a program has a volume: storage that the pods of one node or only one pod can mount is the
// app's alone.
func mounts(volume v1alpha1.AppVolume, of program) bool {
	return volume.Storage == nil || of.isApp || volume.Storage.AccessMode == corev1.ReadWriteMany
}

// hasStorage reports whether the pods of a program have storage.
func hasStorage(in Inputs, of program) bool {
	return slices.ContainsFunc(in.Tenant.Spec.App.Volumes, func(volume v1alpha1.AppVolume) bool {
		return volume.Storage != nil && mounts(volume, of)
	})
}

func volumeSource(volume v1alpha1.AppVolume) corev1.VolumeSource {
	switch {
	case volume.Storage != nil:
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: naming.AppClaim(volume.Name)}}
	case volume.ConfigMap != nil:
		return corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: volume.ConfigMap.Name},
			Items:                files(volume.ConfigMap), Optional: optional(volume.ConfigMap),
		}}
	case volume.Secret != nil:
		return corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: volume.Secret.Name, Items: files(volume.Secret), Optional: optional(volume.Secret),
		}}
	default:
		source := &corev1.EmptyDirVolumeSource{}
		if volume.EmptyDir != nil {
			source.Medium, source.SizeLimit = volume.EmptyDir.Medium, volume.EmptyDir.SizeLimit
		}
		return corev1.VolumeSource{EmptyDir: source}
	}
}

func files(of *v1alpha1.AppFiles) []corev1.KeyToPath {
	var items []corev1.KeyToPath
	for _, item := range of.Items {
		items = append(items, corev1.KeyToPath{Key: item.Key, Path: item.Path})
	}
	return items
}

func optional(of *v1alpha1.AppFiles) *bool {
	if !of.Optional {
		return nil
	}
	return &of.Optional
}

// volumeMounts returns where a container has volumes: the server's authorities, the settings, and those of the list that
// the pods of the program have.
func volumeMounts(in Inputs, of program, list []v1alpha1.AppVolumeMount) []corev1.VolumeMount {
	var result []corev1.VolumeMount
	if len(caVolumes(in)) > 0 {
		result = []corev1.VolumeMount{{Name: caVolume, MountPath: caMountPath, ReadOnly: true}}
	}
	_, settings := settingsVolumes(in)
	result = append(result, settings...)
	for _, mount := range list {
		absent := slices.ContainsFunc(in.Tenant.Spec.App.Volumes, func(volume v1alpha1.AppVolume) bool {
			return volume.Name == mount.Name && !mounts(volume, of)
		})
		if !absent {
			result = append(result, corev1.VolumeMount{Name: mount.Name, MountPath: mount.MountPath, SubPath: mount.SubPath, ReadOnly: mount.ReadOnly})
		}
	}
	return result
}
