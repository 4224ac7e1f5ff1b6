package parts

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/condition"
	"github.com/tenantry/tenantry/internal/desired"
	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/naming"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/templates"
)

// Objects is the part with what the tenant has from its class: copies of Secrets and ConfigMaps, which are objects of
// the part as those of all others, and objects of kinds that only the class knows, which the controller puts in place.
var Objects = &Part{
	Condition: v1alpha1.ConditionObjectsReady,
	Kinds:     []desired.Object{&corev1.Secret{}, &corev1.ConfigMap{}},
	applies: func(tenant *effective.Tenant) bool {
		class := tenant.Class
		return class != nil && len(class.Objects)+len(class.Copies) > 0 || len(tenant.Status.ObjectKinds) > 0
	},
	objects: copies,
	spared:  unknownCopies,
	inPlace: objectsInPlace,
}

// copies returns the copies of the originals that are known.
func copies(in Inputs) []desired.Object {
	var objects []desired.Object
	for _, of := range in.copies() {
		original, known := in.Originals[of]
		if !known {
			continue
		}
		for _, place := range in.placesOf(of.Each) {
			objects = append(objects, present(copyOf(original, metaIn(place.Name, in.Tenant, of.Name)))...)
		}
	}
	return objects
}

// unknownCopies returns the copies that are kept as they are, since their originals aren't known.
func unknownCopies(in Inputs) []desired.Object {
	var objects []desired.Object
	for _, of := range in.copies() {
		if _, known := in.Originals[of]; known {
			continue
		}
		for _, place := range in.placesOf(of.Each) {
			if of.Kind == v1alpha1.CopySecret {
				objects = append(objects, &corev1.Secret{ObjectMeta: metaIn(place.Name, in.Tenant, of.Name)})
			} else {
				objects = append(objects, &corev1.ConfigMap{ObjectMeta: metaIn(place.Name, in.Tenant, of.Name)})
			}
		}
	}
	return objects
}

// copyOf returns a copy of a Secret or ConfigMap: its content, without its labels, annotations and immutability.
func copyOf(original *unstructured.Unstructured, metadata metav1.ObjectMeta) desired.Object {
	if original.GetKind() == string(v1alpha1.CopySecret) {
		secret := &corev1.Secret{}
		if runtime.DefaultUnstructuredConverter.FromUnstructured(original.Object, secret) != nil {
			return nil
		}
		return &corev1.Secret{ObjectMeta: metadata, Type: secret.Type, Data: secret.Data}
	}
	config := &corev1.ConfigMap{}
	if runtime.DefaultUnstructuredConverter.FromUnstructured(original.Object, config) != nil {
		return nil
	}
	return &corev1.ConfigMap{ObjectMeta: metadata, Data: config.Data, BinaryData: config.BinaryData}
}

// copies returns the copies of the tenant's class.
func (in Inputs) copies() []v1alpha1.TenantClassCopy {
	if in.Tenant.Class == nil {
		return nil
	}
	return in.Tenant.Class.Copies
}

// placesOf returns the namespaces in which there is something of the class.
func (in Inputs) placesOf(each v1alpha1.TenantClassEach) []Place {
	var places []Place
	for _, place := range in.places() {
		if place.Usable && (each == v1alpha1.EachNamespace || in.isPrimary(place)) {
			places = append(places, place)
		}
	}
	return places
}

// NameIsTaken reports whether the tenant has another object from the operator with the kind and the name of a copy.
func NameIsTaken(tenant *effective.Tenant, of v1alpha1.TenantClassCopy) bool {
	if of.Kind == v1alpha1.CopySecret {
		return tenant.Spec.Database != nil && of.Name == tenant.Spec.Database.Credentials.SecretName
	}
	return slices.Contains(ownConfigMaps, of.Name)
}

// ownConfigMaps are the names of the ConfigMaps that tenants have from other parts.
var ownConfigMaps = []string{naming.AppConfig, naming.AppSettings, naming.AppRelease, naming.NamespaceList}

// IsCopy reports whether a managed object of a tenant is a copy that its class asked for. A Secret that isn't is that
// of the database, which says when its password was made.
func IsCopy(kind string, object metav1.Object) bool {
	switch v1alpha1.TenantClassCopyKind(kind) {
	case v1alpha1.CopySecret:
		return object.GetAnnotations()[naming.AnnotationRotatedAt] == ""
	case v1alpha1.CopyConfigMap:
		return !slices.Contains(ownConfigMaps, object.GetName())
	default:
		return false
	}
}

// ClassObject is an object that a tenant has from its class.
type ClassObject struct {
	// Path is the field of the class that has its template.
	Path string
	// Object is the desired state.
	Object *unstructured.Unstructured
}

// Render returns the objects of a template for a tenant, one for each namespace that has it. A placed database is one
// that is ready; without it, there is a problem if the template needs it.
func Render(in Inputs, template *templates.Template, scope *templates.Scope, placed bool) ([]ClassObject, error) {
	if template.Uses(templates.VariableDatabase) && in.Tenant.Spec.Database != nil && (!placed || in.Server == nil || in.Login == nil) {
		return nil, problem.ObjectWaitsForDatabase(template.Path, in.Tenant.Class.Name)
	}
	each := v1alpha1.TenantClassEach("")
	if template.Each {
		each = v1alpha1.EachNamespace
	}
	var made []ClassObject
	for _, place := range in.placesOf(each) {
		scope.Set(templates.VariableTenant, valuesOfTenant(in.Tenant, place.Name))
		object, err := template.Render(scope)
		if err != nil {
			return nil, err
		}
		if naming.IsManaged(object.GetLabels()) {
			return nil, &templates.Error{Path: template.Path + ".metadata.labels", Message: fmt.Sprintf("the value %s of %s is for what the operator itself makes; choose another one", naming.ManagedBy, naming.LabelManagedBy)}
		}
		labels := maps.Clone(object.GetLabels())
		if labels == nil {
			labels = map[string]string{}
		}
		labels[naming.LabelTenant], labels[naming.LabelClassObject] = in.Tenant.Name, in.Tenant.Name
		object.SetLabels(labels)
		object.SetNamespace(place.Name)
		made = append(made, ClassObject{Path: template.Path, Object: object})
	}
	return made, nil
}

// ScopeOf returns the values of the variables of templates for a tenant.
func ScopeOf(in Inputs) (*templates.Scope, error) {
	tenant := in.Tenant
	spec := v1alpha1.TenantSpec(tenant.Spec)
	said, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&spec)
	if err != nil {
		return nil, err
	}
	values := templates.Values{
		templates.VariableTenant: valuesOfTenant(tenant, tenant.Name),
		templates.VariableSpec:   said,
	}
	if tenant.Class != nil {
		values[templates.VariableClass] = map[string]any{"name": tenant.Class.Name}
	}
	if in.Server != nil && in.Login != nil && tenant.Spec.Database != nil {
		values[templates.VariableDatabase] = map[string]any{
			"host": in.Server.Spec.Host, "port": int64(in.Server.Spec.Port), "name": in.Login.Database,
			"secretName": tenant.Spec.Database.Credentials.SecretName,
		}
	}
	if app := tenant.Spec.App; app != nil {
		known := map[string]any{"image": app.Image}
		if app.Port != 0 {
			known["internalURL"] = naming.AppURL(tenant.Name, app.Port)
		}
		if url := in.publicURL(); url != "" {
			known["url"] = url
		}
		values[templates.VariableApp] = known
	}
	return templates.NewScope(values), nil
}

func valuesOfTenant(tenant *effective.Tenant, namespace string) map[string]any {
	annotations := maps.Clone(tenant.Annotations)
	delete(annotations, corev1.LastAppliedConfigAnnotation)
	return map[string]any{
		"name": tenant.Name, "uid": string(tenant.UID), "displayName": tenant.Spec.DisplayName, "namespace": namespace,
		"labels": texts(tenant.Labels), "annotations": texts(annotations),
	}
}

func texts(of map[string]string) map[string]any {
	result := make(map[string]any, len(of))
	for key, value := range of {
		result[key] = value
	}
	return result
}

// maxSaid is how many objects a condition names, and how much it quotes of what each says.
const maxSaid, maxQuoted = 5, 300

// objectsInPlace says how the objects of the class are by the rules of kstatus.
func objectsInPlace(o Observation) condition.State {
	var failed, working []string
	for _, object := range o.Objects {
		result, err := status.Compute(object)
		switch {
		case err != nil:
			failed = append(failed, said(object, err.Error()))
		case result.Status == status.FailedStatus:
			failed = append(failed, said(object, result.Message))
		case result.Status != status.CurrentStatus:
			working = append(working, said(object, result.Message))
		}
	}
	switch {
	case len(failed) > 0:
		return condition.State{
			Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonObjectFailed, Stalled: true,
			Message: sentencesOf(failed),
		}
	case len(working) > 0:
		return condition.Progressing("%s", sentencesOf(working))
	default:
		return condition.Ready("What the class adds is in place.")
	}
}

func said(object *unstructured.Unstructured, message string) string {
	message = strings.TrimSuffix(strings.ToValidUTF8(message[:min(len(message), maxQuoted)], ""), ".")
	if message == "" {
		message = "it is not ready"
	}
	return fmt.Sprintf("%s %q of the class says: %s.", object.GetKind(), object.GetName(), message)
}

func sentencesOf(all []string) string {
	if len(all) > maxSaid {
		all = append(all[:maxSaid:maxSaid], fmt.Sprintf("So it is with %d more.", len(all)-maxSaid))
	}
	return strings.Join(all, " ")
}
