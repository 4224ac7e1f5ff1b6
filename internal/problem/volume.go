package problem

import (
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// VolumeShrinks means that the storage of a volume is to become smaller.
func VolumeShrinks(volume, has, wanted string) Problem {
	return stalled(v1alpha1.ReasonImmutable, OnChange,
		"Volume %s has %s and can't shrink to %s; write %s or more in spec.app.volumes.", volume, has, wanted, has)
}

// VolumeFixed means that a field of a volume's storage is to change that can't. has is what it has.
func VolumeFixed(volume, field, has string) Problem {
	return stalled(v1alpha1.ReasonImmutable, OnChange,
		"The %[2]s of volume %[1]s is %[3]s, which is fixed once the volume is there; write that in spec.app.volumes, or give the volume another name and copy the data.", volume, field, has)
}

// AppVolumeCannotGrow means that the API server refuses a larger size of a volume's storage. why is its answer.
func AppVolumeCannotGrow(volume, why string) Problem {
	return stalled(v1alpha1.ReasonForbidden, Later,
		"Volume %s can't grow: %s. Have its StorageClass set allowVolumeExpansion, or write its former size in spec.app.volumes.", volume, strings.TrimSuffix(why, "."))
}

// VolumeOfAnother means that a PersistentVolumeClaim with the name of an app's volume is not this tenant's.
func VolumeOfAnother(claim string) Problem {
	return stalled(v1alpha1.ReasonConflict, Later,
		"%s exists already, and is not that of this Tenant. If it was restored from a backup, set spec.adoptObjects of the Tenant to true; otherwise, give the volume another name in spec.app.volumes.", claim)
}
