// Program crds completes the CustomResourceDefinitions that controller-gen has written into a folder, in what no
// marker can say:
//
//   - Kubernetes' own types bring defaults along. A Tenant is stored as it was written, so they go.
//   - The types of metrics are described where Kubernetes describes them.
//   - An environment variable is replaced as a whole: one that has a value must not get the valueFrom of another.
//   - The fields of further containers are described at those of the app.
//   - A TenantClass repeats the spec of a Tenant, of which nothing is required there: what a tenant can't do without is
//     required of the merged spec. Neither do the rules apply that say what a Tenant without a class must have.
//     Nor those about what a field was before, since a class is about new tenants, too.
//   - An object of a TenantClass can be of any kind, but something must identify it.
//   - A TenantClassRevision repeats what a class has been allowed to say, so nothing is checked again.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// tenantRule begins the rules about what a Tenant without a class must have.
const tenantRule = "has(self.className)"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: crds FOLDER")
		os.Exit(2)
	}
	for file, complete := range map[string]func(spec node){
		"tenantry.dev_tenants.yaml": completeSpec,
		"tenantry.dev_tenantclasses.yaml": func(spec node) {
			completeClass(spec.property("tenant"))
			completeObjects(spec.property("objects").child("items"))
		},
		"tenantry.dev_tenantclassrevisions.yaml": func(spec node) { completeRevision(spec.property("tenant")) },
	} {
		if err := rewrite(filepath.Join(os.Args[1], file), complete); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// rewrite changes the schema of the spec in the file of a CustomResourceDefinition.
func rewrite(path string, complete func(spec node)) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var definition node
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	versions := definition.child("spec")["versions"].([]any)
	for _, version := range versions {
		complete(node(version.(map[string]any)).child("schema").child("openAPIV3Schema").property("spec"))
	}
	if text, err = yaml.Marshal(definition); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, append([]byte("---\n"), text...), 0o644)
}

// node is an object in a schema.
type node map[string]any

func (n node) child(key string) node {
	child, _ := n[key].(map[string]any)
	return child
}

func (n node) property(name string) node { return n.child("properties").child(name) }

// each calls visit for a schema and all schemas in it.
func (n node) each(visit func(node)) {
	if n == nil {
		return
	}
	visit(n)
	n.child("items").each(visit)
	n.child("additionalProperties").each(visit)
	for name := range n.child("properties") {
		n.property(name).each(visit)
	}
}

func completeSpec(spec node) {
	spec.each(func(schema node) {
		if value := schema["default"]; value == "" || value == false {
			delete(schema, "default")
		}
	})
	app := spec.property("app")
	for _, scaled := range []node{app, app.property("workers").child("items")} {
		scaled.property("autoscaling").property("metrics").child("items").each(func(schema node) { delete(schema, "description") })
	}
	app.property("env").child("items")["x-kubernetes-map-type"] = "atomic"
	for _, field := range []string{"initContainers", "sidecars"} {
		for name := range app.property(field).child("items").child("properties") {
			described := app.property(field).child("items").property(name)
			text := described["description"]
			described.each(func(schema node) { delete(schema, "description") })
			described["description"] = text
		}
	}
}

func completeClass(tenant node) {
	completeSpec(tenant)
	requireNothing(tenant, nil)
	rules, _ := tenant["x-kubernetes-validations"].([]any)
	tenant["x-kubernetes-validations"] = slices.DeleteFunc(rules, func(rule any) bool {
		text, _ := rule.(map[string]any)["rule"].(string)
		return strings.HasPrefix(text, tenantRule)
	})
	tenant.each(forgetFormer)
}

// forgetFormer removes the rules about what a field was before. The volumes of a tenant can't shrink, but a class may say
// that those of new tenants are smaller.
func forgetFormer(schema node) {
	rules, found := schema["x-kubernetes-validations"].([]any)
	if !found {
		return
	}
	rules = slices.DeleteFunc(rules, func(rule any) bool {
		text, _ := rule.(map[string]any)["rule"].(string)
		return strings.Contains(text, "oldSelf")
	})
	schema["x-kubernetes-validations"] = rules
	if len(rules) == 0 {
		delete(schema, "x-kubernetes-validations")
	}
}

// completeObjects says what identifies an object of a class, of which the rest can be anything.
func completeObjects(object node) {
	text := func(most int) map[string]any {
		return map[string]any{"type": "string", "minLength": 1, "maxLength": most}
	}
	template := object.property("template")
	template["required"] = []any{"apiVersion", "kind", "metadata"}
	template["properties"] = map[string]any{
		"apiVersion": text(317),
		"kind":       text(63),
		"metadata": map[string]any{
			"type": "object", "x-kubernetes-preserve-unknown-fields": true, "required": []any{"name"},
			"properties": map[string]any{"name": text(1024), "namespace": map[string]any{"type": "string"}},
		},
	}
	object["x-kubernetes-validations"] = []any{
		map[string]any{
			"rule":      "!has(self.template.metadata.__namespace__)",
			"message":   "an object of a class is in the namespaces of its tenants; leave metadata.namespace out, and write each: Namespace beside template to have it in each of them",
			"fieldPath": ".template.metadata",
		},
		map[string]any{
			"rule":    "!self.template.apiVersion.contains('${') && !self.template.kind.contains('${')",
			"message": "apiVersion and kind must be known before the tenant is; write them without values in ${…}", "fieldPath": ".template",
		},
	}
}

func completeRevision(tenant node) {
	completeClass(tenant)
	tenant.each(func(schema node) { delete(schema, "x-kubernetes-validations") })
}

// requireNothing makes everything in a schema optional that can be merged field by field. keys are the keys of an
// entry of a list. What is replaced as a whole must be complete.
func requireNothing(schema node, keys []any) {
	if schema == nil || schema["x-kubernetes-map-type"] == "atomic" {
		return
	}
	if len(keys) > 0 {
		schema["required"] = keys
	} else {
		delete(schema, "required")
	}
	for name := range schema.child("properties") {
		requireNothing(schema.property(name), nil)
	}
	if schema["x-kubernetes-list-type"] == "map" {
		listKeys, _ := schema["x-kubernetes-list-map-keys"].([]any)
		requireNothing(schema.child("items"), listKeys)
	}
}
