package tenantclass

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/templates"
)

// mistakes has what is wrong with the objects of classes, since a class is looked at whenever one of its tenants
// changes. The zero value is ready to use.
type mistakes struct {
	mutex sync.Mutex
	known map[string]verdict
}

type verdict struct {
	uid        types.UID
	generation int64
	err        error
}

// in returns the mistakes in the objects of a class; nil if there are none.
func (m *mistakes) in(class *v1alpha1.TenantClass) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	found, known := m.known[class.Name]
	if !known || found.uid != class.UID || found.generation != class.Generation {
		_, err := templates.Compile(class.Spec.Objects)
		found = verdict{class.UID, class.Generation, err}
		if m.known == nil {
			m.known = map[string]verdict{}
		}
		m.known[class.Name] = found
	}
	return found.err
}

func (m *mistakes) forget(class string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.known, class)
}
