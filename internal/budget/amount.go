package budget

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	// grainCPU is the smallest step in which CPU is granted, in millicores.
	grainCPU = 10
	// grainBytes is the smallest step for memory and storage, in bytes.
	grainBytes = 1 << 20
)

// isCPU reports whether a resource is CPU, whose amounts are in millicores.
func isCPU(name corev1.ResourceName) bool {
	return name == corev1.ResourceCPU || strings.HasSuffix(string(name), ".cpu")
}

// isBytes reports whether a resource is an amount of memory or storage.
func isBytes(name corev1.ResourceName) bool {
	text := string(name)
	return strings.HasSuffix(text, "memory") || strings.HasSuffix(text, "storage") || strings.Contains(text, corev1.ResourceHugePagesPrefix)
}

// ofStorageClass is between the name of a StorageClass and the resource in the name of a quota entry.
const ofStorageClass = ".storageclass.storage.k8s.io/"

// requestedBy returns the resource that counts the objects that request the given one: pods request CPU, memory
// and devices, claims request storage. It is empty for a resource that counts objects itself.
func requestedBy(name corev1.ResourceName) corev1.ResourceName {
	class, ofClass := strings.CutSuffix(string(name), ofStorageClass+string(corev1.ResourceRequestsStorage))
	switch {
	case ofClass:
		return corev1.ResourceName(class + ofStorageClass + string(corev1.ResourcePersistentVolumeClaims))
	case name == corev1.ResourceRequestsStorage:
		return corev1.ResourcePersistentVolumeClaims
	case isCPU(name), isBytes(name), strings.HasPrefix(string(name), corev1.DefaultResourceRequestsPrefix):
		return corev1.ResourcePods
	default:
		return ""
	}
}

// grain returns the smallest step in which a resource is granted.
func grain(name corev1.ResourceName) int64 {
	switch {
	case isCPU(name):
		return grainCPU
	case isBytes(name):
		return grainBytes
	default:
		return 1
	}
}

// amount returns a quantity as a whole number: CPU in millicores, all else as its value.
func amount(name corev1.ResourceName, list corev1.ResourceList) int64 {
	quantity := list[name]
	if isCPU(name) {
		return quantity.MilliValue()
	}
	return quantity.Value()
}

// quantity is the inverse of amount. The result has the format of the example.
func quantity(name corev1.ResourceName, amount int64, example resource.Quantity) resource.Quantity {
	if isCPU(name) {
		return *resource.NewMilliQuantity(amount, example.Format)
	}
	return *resource.NewQuantity(amount, example.Format)
}
