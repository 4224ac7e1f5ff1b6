// Package crd has the CustomResourceDefinitions, for programs that need to know the schema of a Tenant.
package crd

import (
	_ "embed"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

//go:embed bases/tenantry.dev_tenants.yaml
var tenants []byte

// TenantSpec returns the schema of the spec of a Tenant.
func TenantSpec() (*apiextensions.JSONSchemaProps, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.Unmarshal(tenants, definition); err != nil {
		return nil, err
	}
	written := definition.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	schema := &apiextensions.JSONSchemaProps{}
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(&written, schema, nil)
	return schema, err
}
