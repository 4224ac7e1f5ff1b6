package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
)

// tenants are the Tenants of config/samples.
var tenants = []string{"tenant/acme", "tenant/globex", "tenant/initech"}

const readyTimeout = "120s"

// demo is an environment that outlives the program that starts it.
type demo struct {
	root  string
	local string
	begin time.Time
}

func newDemo(ctx context.Context) (*demo, error) {
	root, err := operator.Root(ctx)
	if err != nil {
		return nil, err
	}
	return &demo{root: root, local: filepath.Join(root, ".local"), begin: time.Now()}, nil
}

func (d *demo) postgresDir() string { return filepath.Join(d.local, "postgres") }

func (d *demo) say(what string) {
	fmt.Printf("[%3.0fs] %s\n", time.Since(d.begin).Seconds(), what)
}

func (d *demo) up(ctx context.Context) error {
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
	if err == nil && running.Alive() {
		d.say("Kubernetes runs already.")
		return running, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		if err := cluster.Stop(d.local); err != nil {
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

func (d *demo) stopOperator() error {
	running, err := operator.Load(d.local)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return running.Stop()
}

// applySamples applies config/samples, with the demo's server in the DatabaseServer.
func (d *demo) applySamples(ctx context.Context, kubernetes *cluster.ControlPlane, server *postgres.Server) error {
	overlay := filepath.Join(d.local, "samples")
	if err := os.MkdirAll(overlay, 0o755); err != nil {
		return err
	}
	kustomization := fmt.Sprintf(`apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- ../../config/samples
patches:
- patch: |
    apiVersion: tenantry.dev/v1alpha1
    kind: DatabaseServer
    metadata: {name: shared-eu}
    spec: {host: %q, port: %d, sslMode: disable}
- patch: |
    apiVersion: v1
    kind: Secret
    metadata: {name: shared-eu-admin, namespace: tenantry-system}
    stringData: {username: %q, password: %q}
`, server.Host, server.Port, server.Username, server.Password)
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(kustomization), 0o600); err != nil {
		return err
	}
	if output, err := kubernetes.Kubectl(ctx, "apply", "-k", overlay); err != nil {
		return fmt.Errorf("can't apply the samples: %w\n%s", err, output)
	}
	wait := append([]string{"wait", "--for=condition=Ready", "--timeout=" + readyTimeout, "databaseserver/shared-eu"}, tenants...)
	output, err := kubernetes.Kubectl(ctx, wait...)
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
		output, err := kubernetes.Kubectl(ctx, args...)
		if err != nil {
			return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, output)
		}
		fmt.Printf("\n$ kubectl %s\n%s", strings.Join(args, " "), bytes.TrimLeft([]byte(output), "\n"))
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

// down stops what up has started, and removes its files; the built programs stay.
func (d *demo) down() error {
	failures := []error{d.stopOperator(), d.removePostgres(), cluster.Stop(d.local)}
	for _, name := range []string{"kubeconfig", "operator.kubeconfig", "operator.pid", "samples", "logs", "run", "control-plane"} {
		failures = append(failures, os.RemoveAll(filepath.Join(d.local, name)))
	}
	return errors.Join(failures...)
}

func (d *demo) removePostgres() error {
	server, err := postgres.Load(d.postgresDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return server.Remove()
}
