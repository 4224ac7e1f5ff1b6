package effective

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// OfClasses remembers what was made of the spec of each class, which takes milliseconds. The zero value is ready to use.
type OfClasses[T any] struct {
	mutex sync.Mutex
	known map[string]madeOfClass[T]
}

type madeOfClass[T any] struct {
	uid        types.UID
	generation int64
	made       T
	err        error
}

// Of returns what is made of the spec of a class, which it makes once for each generation.
func (o *OfClasses[T]) Of(class *v1alpha1.TenantClass, from func(*v1alpha1.TenantClassSpec) (T, error)) (T, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	found, known := o.known[class.Name]
	if !known || found.uid != class.UID || found.generation != class.Generation {
		found = madeOfClass[T]{uid: class.UID, generation: class.Generation}
		found.made, found.err = from(&class.Spec)
		if o.known == nil {
			o.known = map[string]madeOfClass[T]{}
		}
		o.known[class.Name] = found
	}
	return found.made, found.err
}

// Forget forgets a class that no longer exists.
func (o *OfClasses[T]) Forget(class string) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	delete(o.known, class)
}

// Compiled has the compiled rules of classes. The zero value is ready to use.
type Compiled struct{ rules OfClasses[*Rules] }

// Of returns the compiled rules of a class. The error says which rule is wrong, and where; the result has the others.
func (c *Compiled) Of(class *v1alpha1.TenantClass) (*Rules, error) {
	return c.rules.Of(class, func(spec *v1alpha1.TenantClassSpec) (*Rules, error) { return Compile(spec.Bounds.Rules) })
}

// Forget forgets a class that no longer exists.
func (c *Compiled) Forget(class string) { c.rules.Forget(class) }
