// Package cluster reads and changes, for the kubectl plugin, what a tenant has in a cluster, with the rights of who
// runs it.
package cluster

import (
	"errors"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
)

// FieldManager is the plugin's name in metadata.managedFields.
const FieldManager = "kubectl-tenantry"

// Connection is a connection to a cluster. All its errors are sentences for who runs the plugin.
type Connection struct {
	client    client.Client
	config    *rest.Config
	discovery discovery.DiscoveryInterface
	namespace string
}

// Connect connects to the cluster that the flags and the kubeconfig name.
func Connect(getter genericclioptions.RESTClientGetter) (*Connection, error) {
	config, err := getter.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // The API server's priority and fairness limits requests better than a client can.
	config.UserAgent = FieldManager
	config.WarningHandler = rest.NoWarnings{} // The API server warns of old kinds, which a list of all kinds has.
	namespace, _, err := getter.ToRawKubeConfigLoader().Namespace()
	if err != nil {
		return nil, err
	}
	c := &Connection{config: config, namespace: namespace}
	if c.discovery, err = getter.ToDiscoveryClient(); err != nil {
		return nil, c.explain(err, "")
	}
	mapper, err := getter.ToRESTMapper()
	if err != nil {
		return nil, c.explain(err, "")
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), gatewayv1.Install(scheme)); err != nil {
		return nil, err
	}
	c.client, err = client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	return c, err
}
