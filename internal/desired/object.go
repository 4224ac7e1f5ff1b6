// Package desired says what all objects have in common that the operator wants to be there, be they part
// of a tenant or of a database server. Packages parts and dedicated say which those are.
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
