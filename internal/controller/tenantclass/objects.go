package tenantclass

import (
	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/templates"
)

// mistakes has what is wrong with the objects of classes, since a class is looked at whenever one of its tenants
// changes. The zero value is ready to use.
type mistakes struct{ known effective.OfClasses[struct{}] }

// in returns the mistakes in the objects of a class; nil if there are none.
func (m *mistakes) in(class *v1alpha1.TenantClass) error {
	_, err := m.known.Of(class, func(spec *v1alpha1.TenantClassSpec) (struct{}, error) {
		_, err := templates.Compile(spec.Objects)
		return struct{}{}, err
	})
	return err
}

func (m *mistakes) forget(class string) { m.known.Forget(class) }
