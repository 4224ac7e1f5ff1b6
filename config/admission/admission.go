// Package admission has the admission policies with which the API server isolates tenants, one file for each kind
// of object. The operator installs them from here.
package admission

import (
	"bufio"
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

//go:embed *.yaml
var files embed.FS

// Object is an admission policy or a binding.
type Object interface {
	metav1.Object
	runtime.Object
}

// kinds has a constructor for each kind of object in the files.
var kinds = map[string]func() Object{
	"ValidatingAdmissionPolicy":        func() Object { return &admissionregistrationv1.ValidatingAdmissionPolicy{} },
	"ValidatingAdmissionPolicyBinding": func() Object { return &admissionregistrationv1.ValidatingAdmissionPolicyBinding{} },
	"MutatingAdmissionPolicy":          func() Object { return &admissionregistrationv1.MutatingAdmissionPolicy{} },
	"MutatingAdmissionPolicyBinding":   func() Object { return &admissionregistrationv1.MutatingAdmissionPolicyBinding{} },
}

// Objects returns all policies and their bindings, each policy before its bindings. With Audit, the policies warn
// instead of refusing. The exceptions are those that protect Tenantry's own objects, which still refuse, with an
// annotation in the audit log: nothing in a cluster that is migrated step by step can depend on changing these
// objects.
func Objects(enforcement v1alpha1.PolicyEnforcement) ([]Object, error) {
	entries, err := files.ReadDir(".")
	if err != nil {
		return nil, err
	}
	var objects []Object
	for _, entry := range entries {
		text, err := files.ReadFile(entry.Name())
		if err != nil {
			return nil, err
		}
		found, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", entry.Name(), err)
		}
		objects = append(objects, found...)
	}
	for _, object := range objects {
		matchOnlyViolations(object)
	}
	if enforcement == v1alpha1.PolicyAudit {
		for _, object := range objects {
			warnOnly(object)
		}
	}
	return objects, nil
}

func parse(text []byte) ([]Object, error) {
	var objects []Object
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		var head metav1.TypeMeta
		if err := yaml.Unmarshal(document, &head); err != nil {
			return nil, err
		}
		fresh, known := kinds[head.Kind]
		if !known {
			return nil, fmt.Errorf("it has an object of kind %q, which is neither a policy nor a binding of one", head.Kind)
		}
		object := fresh()
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			return nil, err
		}
		object.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{}) // As in objects that are read.
		objects = append(objects, object)
	}
}

func warnOnly(object Object) {
	binding, ok := object.(*admissionregistrationv1.ValidatingAdmissionPolicyBinding)
	if !ok || !slices.Equal(binding.Spec.ValidationActions, []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}) {
		return
	}
	binding.Spec.ValidationActions = []admissionregistrationv1.ValidationAction{
		admissionregistrationv1.Warn, admissionregistrationv1.Audit,
	}
	// parameterNotFoundAction Deny refuses a request whatever the validation actions are.
	if binding.Spec.ParamRef != nil {
		binding.Spec.ParamRef.ParameterNotFoundAction = new(admissionregistrationv1.AllowAction)
	}
}
