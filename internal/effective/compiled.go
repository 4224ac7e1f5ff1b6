package effective

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Compiled has the compiled rules of classes, since to compile one takes milliseconds. The zero value is ready to use.
type Compiled struct {
	mutex sync.Mutex
	known map[string]compilation
}

type compilation struct {
	uid        types.UID
	generation int64
	rules      *Rules
	err        error
}

// Of returns the compiled rules of a class. The error says which rule is wrong, and where; the result has the others.
func (c *Compiled) Of(class *v1alpha1.TenantClass) (*Rules, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	known := c.known[class.Name]
	if known.uid != class.UID || known.generation != class.Generation {
		known = compilation{uid: class.UID, generation: class.Generation}
		known.rules, known.err = Compile(class.Spec.Bounds.Rules)
		if c.known == nil {
			c.known = map[string]compilation{}
		}
		c.known[class.Name] = known
	}
	return known.rules, known.err
}

// Forget forgets a class that no longer exists.
func (c *Compiled) Forget(class string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	delete(c.known, class)
}
