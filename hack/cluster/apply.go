package cluster

import (
	"context"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
)

const (
	definitionPrefix = "customresourcedefinition.apiextensions.k8s.io/"
	servedInterval   = 50 * time.Millisecond
)

// Apply runs `kubectl apply --server-side` with further arguments, as the cluster's admin, and returns once
// clients can discover the resources of each CustomResourceDefinition among what was applied.
//
// `kubectl wait --for=condition=Established` would not do: it fails for a definition that the API server has not
// looked at yet, whose conditions are null, and discovery may not tell yet of one that is established.
func (c *ControlPlane) Apply(ctx context.Context, args ...string) error {
	output, err := c.Kubectl(ctx, append([]string{"apply", "--server-side", "--output=name"}, args...)...)
	if err != nil {
		return err
	}
	client, err := apiextensions.NewForConfig(c.config)
	if err != nil {
		return err
	}
	for applied := range strings.Lines(output) {
		name, isDefinition := strings.CutPrefix(strings.TrimSpace(applied), definitionPrefix)
		if !isDefinition {
			continue
		}
		definition, err := client.ApiextensionsV1().CustomResourceDefinitions().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if err := waitServed(ctx, client.Discovery(), definition); err != nil {
			return err
		}
	}
	return nil
}

func waitServed(ctx context.Context, client discovery.DiscoveryInterface, definition *apiextensionsv1.CustomResourceDefinition) error {
	for _, version := range definition.Spec.Versions {
		if !version.Served {
			continue
		}
		resource := schema.GroupVersionResource{Group: definition.Spec.Group, Version: version.Name, Resource: definition.Spec.Names.Plural}
		err := wait.PollUntilContextCancel(ctx, servedInterval, true, func(context.Context) (bool, error) {
			return discovery.IsResourceEnabled(client, resource)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
