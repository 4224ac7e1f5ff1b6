package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
)

const readyTimeout = "120s"

// upFake starts everything on nodes that only report pods as running, with the operator as a process.
func (d *demo) upFake(ctx context.Context) error {
	d.say("Building Kubernetes and the operator; the first time takes some ten minutes.")
	bin, err := cluster.Build(ctx, os.Stdout)
	if err != nil {
		return err
	}
	program, err := operator.Build(ctx)
	if err != nil {
		return err
	}
	kubernetes, err := d.startKubernetes(ctx, bin)
	if err != nil {
		return err
	}
	d.say("Starting PostgreSQL.")
	server, err := postgres.Start(ctx, postgres.Options{Dir: d.postgresDir(), Progress: os.Stdout})
	if err != nil {
		return err
	}
	d.say("Installing config/prerequisites and starting the operator with the rights of its ServiceAccount.")
	if err := operator.Install(ctx, kubernetes); err != nil {
		return err
	}
	if err := d.startOperator(ctx, kubernetes, program); err != nil {
		return err
	}
	d.say("Applying config/samples and waiting until all are Ready.")
	if err := d.applySamples(ctx, kubernetes, server); err != nil {
		return err
	}
	d.say("All are Ready.")
	return d.show(ctx, kubernetes)
}

// startKubernetes starts a control plane, or finds the one that an earlier call has started.
func (d *demo) startKubernetes(ctx context.Context, bin string) (*cluster.ControlPlane, error) {
	running, err := cluster.Load(d.local)
	if err == nil && running.Alive() && running.Network() == nil {
		d.say("Kubernetes runs already.")
		return running, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		// What is left, or has real nodes, is of no use, nor is its PostgreSQL.
		if err := d.down(); err != nil {
			return nil, err
		}
	}
	d.say("Starting etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok.")
	return cluster.Start(ctx, cluster.Options{Bin: bin, Dir: d.local, Detached: true})
}

// startOperator replaces a running operator, since the program may be newer.
func (d *demo) startOperator(ctx context.Context, kubernetes *cluster.ControlPlane, program string) error {
	if err := d.stopOperator(); err != nil {
		return err
	}
	_, err := operator.Start(ctx, operator.Options{
		Program: program, Kubernetes: kubernetes, Dir: d.local, Detached: true,
	})
	return err
}

// applySamples applies config/samples, with the demo's server in the DatabaseServer.
func (d *demo) applySamples(ctx context.Context, kubernetes *cluster.ControlPlane, server *postgres.Server) error {
	if err := d.applyOverlay(ctx, kubernetes, overlay{}, server.Host, server.Port, server); err != nil {
		return err
	}
	output, err := awaitSamples(ctx, kubernetes, readyTimeout)
	if err != nil {
		state, _ := kubernetes.Kubectl(ctx, "get", "databaseservers,tenants")
		return fmt.Errorf("not all samples became Ready: %w\n%s\n%s\nThe operator's log is %s", err, output, state,
			filepath.Join(d.local, "logs", "operator.log"))
	}
	return nil
}

// show prints the tenants, and commands to look around.
func (d *demo) show(ctx context.Context, kubernetes *cluster.ControlPlane) error {
	for _, args := range [][]string{
		{"get", "databaseservers"},
		{"get", "tenants"},
		{"get", "resourcequota,limitrange,networkpolicy,rolebinding,serviceaccount,configmap,secret,deployment,service,poddisruptionbudget,pod", "--namespace", "acme", "--show-kind", "--ignore-not-found"},
	} {
		if err := kubectl(ctx, kubernetes, args...); err != nil {
			return err
		}
	}
	fmt.Printf(`
Look around:
  export KUBECONFIG=%[1]s PATH=%[2]s:$PATH
  kubectl get tenants -o wide
  kubectl describe tenant acme
  kubectl explain tenant.spec.database
  kubectl get secret database -n acme -o jsonpath='{.data.uri}' | base64 -d

The operator's log: %[3]s
Stop it all:        make demo-down
`, kubernetes.KubeconfigPath(), filepath.Join(d.local, "bin"), filepath.Join(d.local, "logs", "operator.log"))
	return nil
}
