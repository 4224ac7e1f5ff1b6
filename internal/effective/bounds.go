package effective

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// perTenant are the fields that are always the tenant's to write, since they are about a single tenant.
// config/admission/tenantclasses.yaml has the same.
var perTenant = sets.New("className", "classRevision", "displayName", "cordoned", "deletionProtection", "adoptObjects")

// outside returns in which way a tenant is outside of the bounds of its class; empty if it is within. The API server
// refuses most of that when it is written, in the same words. It can't know what the class's defaults add, and
// doesn't look again when the class changes.
func (c *Class) outside(own map[string]any, merged *Spec) string {
	said := c.fixedFields(own)
	said = append(said, c.aboveQuota(merged)...)
	if database := merged.Database; database != nil && len(c.Bounds.Isolations) > 0 {
		isolation := database.Isolation
		if isolation == "" {
			isolation = defaultIsolation
		}
		if !slices.Contains(c.Bounds.Isolations, isolation) {
			said = append(said, fmt.Sprintf("spec.database.isolation is %s, and the class %s allows %s", isolation, c.Name, join(c.Bounds.Isolations)))
		}
	}
	said = append(said, c.foreignImages(merged.App)...)
	return strings.Join(append(said, c.Rules.broken(own)...), "; ")
}

// foreignImages says which images of an app are from other registries than the class allows.
func (c *Class) foreignImages(app *v1alpha1.TenantApp) (said []string) {
	if app == nil || len(c.Bounds.ImageRegistries) == 0 {
		return nil
	}
	check := func(field, image string) {
		if image != "" && !c.allowsImage(image) {
			said = append(said, fmt.Sprintf("%s is %s, and the class %s allows images from %s", field, image, c.Name, join(c.Bounds.ImageRegistries)))
		}
	}
	check("spec.app.image", app.Image)
	for _, container := range app.InitContainers {
		check(fmt.Sprintf("the image of spec.app.initContainers %s", container.Name), container.Image)
	}
	for _, container := range app.Sidecars {
		check(fmt.Sprintf("the image of spec.app.sidecars %s", container.Name), container.Image)
	}
	return said
}

// aboveQuota says which entries of a quota are above their bounds.
func (c *Class) aboveQuota(merged *Spec) (said []string) {
	for _, name := range slices.Sorted(maps.Keys(c.Bounds.Quota)) {
		value, bound := merged.Quota[name], c.Bounds.Quota[name]
		if value.Cmp(bound) > 0 {
			said = append(said, fmt.Sprintf("spec.quota has %s %s, and the class %s allows up to %s", name, value.String(), c.Name, bound.String()))
		}
	}
	return said
}

// fixedFields says which fields a tenant has written that its class sets.
func (c *Class) fixedFields(own map[string]any) []string {
	if c.Bounds.Overridable == nil {
		return nil
	}
	open := sets.New[string]()
	for _, field := range c.Bounds.Overridable {
		open.Insert(string(field))
	}
	fields := fixed(own, "", open)
	if len(fields) == 0 {
		return nil
	}
	allowed := "no other fields"
	if len(c.Bounds.Overridable) > 0 {
		allowed = join(c.Bounds.Overridable)
	}
	return []string{fmt.Sprintf("spec has %s, which the class %s sets; its tenants may write %s", strings.Join(fields, ", "), c.Name, allowed)}
}

// fixed returns the paths, below a prefix, of what isn't open in a part of a spec.
func fixed(content map[string]any, prefix string, open sets.Set[string]) (fields []string) {
	for _, name := range slices.Sorted(maps.Keys(content)) {
		path := prefix + name
		inner, isObject := content[name].(map[string]any)
		switch {
		case open.Has(path), prefix == "" && perTenant.Has(name):
		case isObject && slices.ContainsFunc(open.UnsortedList(), func(field string) bool { return strings.HasPrefix(field, path+".") }):
			fields = append(fields, fixed(inner, path+".", open)...)
		default:
			fields = append(fields, path)
		}
	}
	return fields
}

// allowsImage reports whether an image is from one of the registries of the bounds.
func (c *Class) allowsImage(image string) bool {
	return slices.ContainsFunc(c.Bounds.ImageRegistries, func(registry v1alpha1.ImageRegistry) bool {
		rest, found := strings.CutPrefix(image, string(registry))
		return found && (rest == "" || strings.HasSuffix(string(registry), "/") || strings.ContainsAny(rest[:1], "/:@"))
	})
}

func join[T ~string](values []T) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = string(value)
	}
	return strings.Join(texts, ", ")
}
