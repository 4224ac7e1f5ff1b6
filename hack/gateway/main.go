// Command gateway serves the Ingresses of the IngressClass "tenantry-demo", and the HTTPRoutes of Gateways of the
// GatewayClass of that name, by nginx, over TLS. It is for the demo and for tests only: one replica, no HTTP without
// TLS, no annotations, no filters.
//
// It runs as the first process of a pod, with nginx as its child. Whenever one of these objects, a Service or the Secret
// of a certificate changes, it writes nginx's configuration anew and lets nginx read it. What nginx can't serve is told
// by an Event at the Ingress or HTTPRoute, and in the latter's status.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const (
	// className is the IngressClass and the GatewayClass of what is served.
	className = "tenantry-demo"
	// folder has nginx's configuration and temporary files.
	folder = "/run/gateway"
	// addressVariable has the address at which the gateway is reached, which Ingresses and Gateways have in their status.
	addressVariable = "HOST_IP"
)

func main() {
	options := zap.Options{}
	options.BindFlags(flag.CommandLine)
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&options)))
	if err := run(os.Getenv(addressVariable)); err != nil {
		ctrl.Log.Error(err, "The gateway ended")
		os.Exit(1)
	}
}

func run(address string) error {
	if address == "" {
		return fmt.Errorf("set the variable %s to the address that Ingresses and Gateways are to have in their status", addressVariable)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), gatewayv1.Install(scheme)); err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("can't find the API server; run in a cluster: %w", err)
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: ":8081",
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Field: fields.OneTermEqualSelector("type", string(corev1.SecretTypeTLS))},
		}},
	})
	if err != nil {
		return err
	}
	server := &nginx{folder: folder}
	if err := setup(manager, server, address); err != nil {
		return err
	}
	if err := manager.AddReadyzCheck("nginx", server.ready); err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}
