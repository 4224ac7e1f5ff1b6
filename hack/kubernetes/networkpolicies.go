package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
	"sigs.k8s.io/kwok/pkg/utils/signals"
)

// runNetworkPolicies enforces NetworkPolicies on a node: it decides on each new connection that the kernel queues.
func runNetworkPolicies() {
	flags := pflag.NewFlagSet("network-policies", pflag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "path of the kubeconfig")
	node := flags.String("node", "", "name of the node whose network namespace this runs in")
	queue := flags.Int("queue", 0, "number of the netfilter queue that new connections wait in")
	flags.Parse(os.Args[1:]) //nolint:errcheck // it exits
	if err := enforceNetworkPolicies(signals.SetupSignalContext(), *kubeconfig, *node, *queue); err != nil {
		fmt.Fprintln(os.Stderr, "network-policies:", err)
		os.Exit(1)
	}
}

func enforceNetworkPolicies(ctx context.Context, kubeconfig, node string, queue int) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	config.ContentType, config.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	// NRI stays enabled although Debian's containerd has none: without it, version 0.8.0 panics on the first packet
	// of an address that is no pod's.
	controller, err := networkpolicy.NewController(client, factory.Networking().V1().NetworkPolicies(), factory.Core().V1().Namespaces(),
		factory.Core().V1().Pods(), nil, nil, nil, nil, networkpolicy.Config{QueueID: queue, NodeName: node})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	return controller.Run(ctx)
}
