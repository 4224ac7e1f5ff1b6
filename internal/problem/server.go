package problem

import (
	"fmt"
	"strings"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/naming"
)

// SecretNotFound means that a Secret in the spec doesn't exist.
func SecretNotFound(namespace, name string) Problem {
	return stalled(v1alpha1.ReasonSecretNotFound, Later, "There is no Secret %q in namespace %q; create it.", name, namespace)
}

// SecretKeyMissing means that the Secret lacks a key.
func SecretKeyMissing(namespace, name, key string) Problem {
	return stalled(v1alpha1.ReasonSecretNotFound, Later, "The Secret %q in namespace %q has no key %q; add it.", name, namespace, key)
}

// Starting means that a dedicated server has not started yet. why says what it waits for.
func Starting(why string) Problem { return progressing("The server is starting; %s.", why) }

// Suspended means that a dedicated server is stopped, since its tenant sleeps.
func Suspended(tenant string) Problem {
	return temporary(v1alpha1.ReasonHibernated, OnChange, "The server is stopped, and its volume kept, while the Tenant %s sleeps.", tenant)
}

// Stopping means that a dedicated server is about to stop.
func Stopping() Problem { return progressing("The server stops, since its tenant sleeps.") }

// StorageClassFixed means that the volume of a server can't get the StorageClass in the spec. has is its current
// one.
func StorageClassFixed(has string) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"The volume has the StorageClass %q and can't get another one; write that in spec.database.dedicated.storageClassName of the Tenant.", has)
}

// TooManyInstances means that the spec asks for more than one instance of a server that CloudNativePG doesn't run.
func TooManyInstances(instances int32) Problem {
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"To run %d instances takes CloudNativePG, which the cluster had not when the server was made; write 1 in spec.database.dedicated.instances of the Tenant, or, as long as it has no data, install CloudNativePG.", instances)
}

// VolumeCannotGrow means that the API server refuses to expand the volume of a server. err is its answer.
func VolumeCannotGrow(size fmt.Stringer, err error) Problem {
	if refused, by := refusalOf(err); by != nobody && by != rbac {
		return refused
	}
	return stalled(v1alpha1.ReasonInvalid, OnChange,
		"The volume can't grow to %s: %v. Write its present size in spec.database.dedicated.storage of the Tenant, or let its StorageClass expand volumes.", size, err)
}

// VolumeFull means that a server does not run since its volume is full. trouble is the problem of its pod.
func VolumeFull(trouble Problem) Problem {
	trouble.Message += " Its volume is full; raise spec.database.dedicated.storage of the Tenant."
	return trouble
}

// OwnDiskFull means that a tenant's own server runs, and that its volume, of that size, is full. said is what
// PostgreSQL has said.
func OwnDiskFull(size fmt.Stringer, said string) Problem {
	return stalled(v1alpha1.ReasonDiskFull, Later,
		"The server answers, but its volume of %s is full, so that the app can only read: %s. Raise spec.database.dedicated.storage of the Tenant.", size, said)
}

// DiskFull means the same of a server that the operator doesn't run.
func DiskFull(said string) Problem {
	return stalled(v1alpha1.ReasonDiskFull, Later,
		"The server answers, but its disk is full, so that apps can only read: %s. Make room on it, or make it larger.", said)
}

// DataNotFound means that there is no volume or Cluster with the database that a server is to adopt.
func DataNotFound(server, database string) Problem {
	return stalled(v1alpha1.ReasonConflict, OnChange,
		"There is nothing in namespace %s that has the database %s, neither a PersistentVolumeClaim %q nor a Cluster %q; correct spec.database.adopt of the Tenant, leave it out to start with an empty database, or restore the data there.",
		naming.DatabasesNamespace, database, naming.ServerVolume(server), server)
}

// DataOfAnother means that the volume or Cluster with the server's name has another database.
func DataOfAnother(object string) Problem {
	return stalled(v1alpha1.ReasonConflict, OnChange,
		"%s has the data of another database; its annotation %s says which, to take it over by spec.database.adopt of the Tenant. Or delete it to start with an empty one.",
		object, naming.AnnotationDatabase)
}

// Held is an object that is still there after it was deleted.
type Held struct {
	// Object is its kind and name, as users know it.
	Object     string
	Finalizers []string
}

// ServerRemains means that a server can't go before these objects of it do.
func ServerRemains(held []Held) Problem {
	objects := make([]string, len(held))
	for i, one := range held {
		objects[i] = one.Object
		if len(one.Finalizers) > 0 {
			objects[i] += fmt.Sprintf(" (finalizers: %s)", strings.Join(one.Finalizers, ", "))
		}
	}
	return temporary(v1alpha1.ReasonTerminating, OnChange,
		"The server is being deleted, and waits for the end of %s. If one of them stays, have what has set its finalizers do its work, or take them off; Pods that use a PersistentVolumeClaim hold it.",
		strings.Join(objects, "; "))
}
