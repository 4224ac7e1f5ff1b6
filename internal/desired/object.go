// Package desired has what all objects have in common that the operator makes, be they for a tenant or for a
// database server. Packages parts and dedicated say which those are.
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
