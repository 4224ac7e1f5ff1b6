// Package desired has what all objects that the operator creates have in common. The objects themselves are in
// package parts, for tenants, and dedicated, for database servers.
package desired

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// Object is a Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}
