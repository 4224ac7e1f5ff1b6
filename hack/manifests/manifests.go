// Package manifests reads files with Kubernetes objects.
package manifests

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Read returns the objects in the YAML documents of a file. An empty document is an empty object, and a field that stands
// there twice is an error.
func Read(content []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := yaml.YAMLToJSONStrict(document)
		if err != nil {
			return nil, err
		}
		object := &unstructured.Unstructured{}
		if err := json.Unmarshal(content, &object.Object); err != nil { // which keeps whole numbers whole
			return nil, err
		}
		objects = append(objects, object)
	}
}
