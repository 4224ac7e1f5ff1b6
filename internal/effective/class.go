package effective

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// Class is what a tenant's class says about it.
type Class struct {
	// Name is the name of the TenantClass.
	Name string
	// Revision is the name of the TenantClassRevision with the content; empty if there is none yet.
	Revision string
	// Tenant is what tenants of the class have unless they say otherwise.
	Tenant v1alpha1.TenantSpec
	// Objects and Copies are what else tenants of the class have.
	Objects []v1alpha1.TenantClassObject
	Copies  []v1alpha1.TenantClassCopy
	// Bounds limit what they may say. They are those of the class as it is now, whatever the revision.
	Bounds v1alpha1.TenantClassBounds
	// Rules are the rules of the bounds; nil if there are none.
	Rules *Rules
}

// At returns what a class says at one of its revisions.
func At(class *v1alpha1.TenantClass, revision *v1alpha1.TenantClassRevision, rules *Rules) *Class {
	return (&Class{Name: class.Name, Bounds: class.Spec.Bounds, Rules: rules}).At(revision)
}

// At returns what the class says at another one of its revisions.
func (c *Class) At(revision *v1alpha1.TenantClassRevision) *Class {
	at := *c
	at.Revision, at.Tenant = revision.Name, revision.Spec.Tenant
	at.Objects, at.Copies = revision.Spec.Objects, revision.Spec.Copies
	return &at
}

// Same reports whether two revisions of a class have the same effect on a tenant.
func Same(a, b *Tenant) bool {
	return slices.Equal(a.HeldBack, b.HeldBack) && equality.Semantic.DeepEqual(a.Spec, b.Spec) &&
		equality.Semantic.DeepEqual(a.Class.Objects, b.Class.Objects) && equality.Semantic.DeepEqual(a.Class.Copies, b.Class.Copies)
}

// InvalidError means that a tenant can't have what it and its class say together.
type InvalidError struct {
	// Class is the name of the class.
	Class string
	// Message says what is wrong, without a period at its end.
	Message string
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("The tenant stays as it is, since what it and its class %s say does not go together: %s.", e.Class, e.Message)
}

// OfClass returns a tenant with its effective spec: its own spec over what its class says, over the built-in
// defaults. It returns an *InvalidError if a tenant can't have that. It changes neither the Tenant nor the class.
func OfClass(tenant *v1alpha1.Tenant, class *Class) (*Tenant, error) {
	own, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&tenant.Spec)
	if err != nil {
		return nil, err
	}
	delete(own, "className")
	delete(own, "classRevision")
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&class.Tenant)
	if err != nil {
		return nil, err
	}
	dropAlternatives(content, own)
	dropScaling(objectIn(content, "app"), objectIn(own, "app"))
	dropWorkersScaling(objectIn(content, "app"), objectIn(own, "app"))
	merged, err := schema().merge(content, own)
	if err != nil {
		return nil, &InvalidError{Class: class.Name, Message: err.Error()}
	}
	made := v1alpha1.TenantSpec{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(merged, &made); err != nil {
		return nil, err
	}
	spec := Spec(made)
	if said := spec.invalid(merged); said != "" {
		return nil, &InvalidError{Class: class.Name, Message: said}
	}
	if said := class.outside(own, &spec); said != "" {
		return nil, &InvalidError{Class: class.Name, Message: said}
	}
	result := &Tenant{ObjectMeta: tenant.ObjectMeta, Spec: spec, Status: tenant.Status, Class: class}
	result.Spec.complete()
	return result, result.holdBack()
}

// invalid returns what the API server would refuse in a merged spec, given also as it is stored; empty if nothing.
// Parts that lack something say so themselves.
func (s *Spec) invalid(content map[string]any) string {
	var found field.ErrorList
	for _, err := range schema().validate(content) {
		if err.Type == field.ErrorTypeRequired && (s.MissingForApp() != nil || s.MissingForDatabase() != nil) ||
			err.Field == "spec.database" && s.MissingForDatabase() != nil {
			continue
		}
		found = append(found, err)
	}
	return sentences(found)
}

// dropAlternatives removes from what a class says what excludes that which the tenant says. Merged field by field, a
// tenant could not choose another server, or another way to its app, than its class has chosen.
func dropAlternatives(class, own map[string]any) {
	dropServer(class, own)
	said, ofClass := objectIn(objectIn(own, "app"), "expose"), objectIn(objectIn(class, "app"), "expose")
	if said["gatewayRef"] != nil {
		delete(ofClass, "ingressClassName")
		delete(ofClass, "tls")
	}
	if said["ingressClassName"] != nil || said["tls"] != nil {
		delete(ofClass, "gatewayRef")
	}
}

func dropServer(class, own map[string]any) {
	said, ofClass := objectIn(own, "database"), objectIn(class, "database")
	if said == nil || ofClass == nil {
		return
	}
	if said["serverRef"] != nil {
		delete(ofClass, "serverSelector")
	}
	if said["serverSelector"] != nil {
		delete(ofClass, "serverRef")
	}
	isolation, chosen := said["isolation"]
	if !chosen || isolation == ofClass["isolation"] {
		return
	}
	if isolation == string(v1alpha1.DatabaseIsolationDedicated) {
		delete(ofClass, "serverRef")
		delete(ofClass, "serverSelector")
	} else {
		delete(ofClass, "dedicated")
	}
	if isolation != string(v1alpha1.DatabaseIsolationRow) {
		delete(ofClass, "sharedTables")
	}
}

// dropScaling removes from what a class says about an app or a worker the number of its pods if the tenant has that
// chosen by an autoscaler, and the other way round.
func dropScaling(class, own map[string]any) {
	if own["autoscaling"] != nil {
		delete(class, "replicas")
	}
	if own["replicas"] != nil {
		delete(class, "autoscaling")
	}
}

// dropWorkersScaling does the same for the workers, which are the same ones by their names.
func dropWorkersScaling(class, own map[string]any) {
	for _, worker := range objectsIn(own, "workers") {
		for _, ofClass := range objectsIn(class, "workers") {
			if ofClass["name"] == worker["name"] {
				dropScaling(ofClass, worker)
			}
		}
	}
}

func objectsIn(content map[string]any, key string) (objects []map[string]any) {
	list, _ := content[key].([]any)
	for _, entry := range list {
		if object, isObject := entry.(map[string]any); isObject {
			objects = append(objects, object)
		}
	}
	return objects
}

func objectIn(content map[string]any, key string) map[string]any {
	found, _ := content[key].(map[string]any)
	return found
}

// DefaultClass returns the class of new tenants that name none; empty if there is no default. Of several, it is the
// newest, as with StorageClasses.
func DefaultClass(classes []v1alpha1.TenantClass) string {
	var found *v1alpha1.TenantClass
	for i := range classes {
		class := &classes[i]
		if class.Annotations[v1alpha1.AnnotationDefaultClass] != "true" || !class.DeletionTimestamp.IsZero() {
			continue
		}
		if found == nil || found.CreationTimestamp.Before(&class.CreationTimestamp) ||
			found.CreationTimestamp.Equal(&class.CreationTimestamp) && class.Name < found.Name {
			found = class
		}
	}
	if found == nil {
		return ""
	}
	return found.Name
}
