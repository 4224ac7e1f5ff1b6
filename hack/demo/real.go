package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tenantry/tenantry/hack/authority"
	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/deploy"
	"github.com/tenantry/tenantry/hack/fabric"
	"github.com/tenantry/tenantry/hack/freeport"
	"github.com/tenantry/tenantry/hack/images/project"
	"github.com/tenantry/tenantry/hack/postgres"
)

const (
	// authorityFile has the certificate of the authority of the apps' certificates.
	authorityFile = "ca.crt"
	// appsTimeout is how long real apps may take to be Ready.
	appsTimeout = "180s"
)

// realDemo is a demo whose pods really run.
type realDemo struct {
	*demo
	// database and gateway are ports: of PostgreSQL in the network of the nodes, and of the gateway on this machine.
	database, gateway int
	authority         *authority.Authority
	kubernetes        *cluster.ControlPlane
	server            *postgres.Server
}

// upReal starts everything with real nodes. If that fails, it stops everything.
func (d *demo) upReal(ctx context.Context) error {
	if _, err := cluster.Load(d.local); err == nil {
		d.say("Replacing the demo that runs already.")
	}
	// What an earlier demo has left, if only by being killed.
	if err := d.down(); err != nil {
		return err
	}
	r := &realDemo{demo: d}
	err := r.up(ctx)
	switch {
	case err == nil:
		return r.show(ctx)
	case ctx.Err() != nil:
		return errors.Join(errors.New("it was interrupted, and has stopped what it had started"), d.stop())
	default:
		return errors.Join(err, r.explain(ctx), d.stop())
	}
}

func (r *realDemo) up(ctx context.Context) error {
	if err := r.prepare(); err != nil {
		return err
	}
	bin, archives, err := r.build(ctx)
	if err != nil {
		return err
	}
	if err := r.start(ctx, bin, archives); err != nil {
		return err
	}
	if err := r.install(ctx); err != nil {
		return err
	}
	if err := r.step("Applied config/samples; all tenants are Ready", func() error { return r.applySamples(ctx) }); err != nil {
		return err
	}
	return r.step("The apps answer at their hostnames", func() error { return r.awaitApps(ctx) })
}

// prepare chooses ports and makes the authority.
func (r *realDemo) prepare() error {
	ports, err := freeport.Find(2)
	if err != nil {
		return err
	}
	r.database, r.gateway = ports[0], ports[1]
	if r.authority, err = authority.New("Tenantry demo"); err != nil {
		return err
	}
	certificate, err := r.authority.PEM()
	if err != nil {
		return err
	}
	return os.WriteFile(r.authorityPath(), certificate, 0o644)
}

func (r *realDemo) authorityPath() string { return filepath.Join(r.local, authorityFile) }

// build compiles Kubernetes while it makes the images of the apps.
func (r *realDemo) build(ctx context.Context) (bin string, archives []string, err error) {
	r.say("Building Kubernetes, the operator and images; the first time takes some ten minutes.")
	maker, err := project.Maker(ctx)
	if err != nil {
		return "", nil, err
	}
	var own, others []string
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return r.step("Made the images of the apps", func() error {
			wanted, err := r.images()
			if err != nil {
				return err
			}
			own, err = maker.MakeAll(ctx, wanted...)
			return err
		})
	})
	group.Go(func() (err error) {
		err = r.step("Built Kubernetes", func() error {
			bin, err = cluster.Build(ctx, os.Stdout)
			return err
		})
		if err != nil {
			return err
		}
		return r.step("Built the operator and the gateway, and made their images", func() error {
			needed, err := project.Cluster(ctx, bin)
			if err != nil {
				return err
			}
			others, err = maker.MakeAll(ctx, needed...)
			return err
		})
	})
	err = group.Wait()
	return bin, append(others, own...), err
}

// start starts Kubernetes, with a port for PostgreSQL and one for the gateway.
func (r *realDemo) start(ctx context.Context, bin string, archives []string) error {
	return r.step("Started Kubernetes with a real node and a fake one", func() (err error) {
		r.kubernetes, err = cluster.Start(ctx, cluster.Options{
			Bin: bin, Dir: r.local, Nodes: 1, RealNodes: 1, Images: archives, Detached: true,
			Exposed: []int{r.database}, NodePorts: map[int]int{r.gateway: deploy.GatewayPort},
		})
		return err
	})
}

// install installs the operator and what else the cluster needs, while PostgreSQL starts.
func (r *realDemo) install(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return r.step("Started PostgreSQL", func() (err error) {
			r.server, err = postgres.Start(ctx, postgres.Options{
				Dir: r.postgresDir(), Port: r.database, Inside: r.kubernetes.Network(), Progress: os.Stdout,
			})
			return err
		})
	})
	group.Go(func() error {
		return r.step("Installed DNS, config/default and the gateway", func() error { return deploy.Install(ctx, r.kubernetes) })
	})
	return group.Wait()
}

// applySamples applies config/samples as real apps, and the other examples.
func (r *realDemo) applySamples(ctx context.Context) error {
	changes, err := r.overlay()
	if err != nil {
		return err
	}
	if err := r.applyOverlay(ctx, r.kubernetes, changes, fabric.Address, r.database, r.server); err != nil {
		return err
	}
	if err := r.applyExposure(ctx); err != nil {
		return err
	}
	_, err = awaitSamples(ctx, r.kubernetes, appsTimeout)
	return err
}

// explain returns what there is to see of a cluster that doesn't do as it should; nil if there is none.
func (r *realDemo) explain(ctx context.Context) error {
	if r.kubernetes == nil {
		return nil
	}
	var seen strings.Builder
	for _, line := range []string{
		"get tenants,databaseservers -o wide", "get pods -A -o wide", "get events -A --sort-by=.lastTimestamp",
		"logs --namespace=tenantry-system deployment/tenantry-manager --tail=10",
		"logs --namespace=" + deploy.GatewayNamespace + " deployment/gateway --tail=10",
	} {
		// An error belongs to what there is to see.
		output, err := r.kubernetes.Kubectl(ctx, strings.Fields(line)...)
		fmt.Fprintf(&seen, "$ kubectl %s\n%s", line, output)
		if err != nil {
			fmt.Fprintln(&seen, err)
		}
	}
	return errors.New("this is what the cluster has:\n" + seen.String())
}

// show prints the tenants, and commands that show what they can and can't do.
func (r *realDemo) show(ctx context.Context) error {
	for _, args := range [][]string{
		{"get", "tenants"},
		{"get", "pods,ingresses,gateways,httproutes", "--all-namespaces"},
	} {
		if err := kubectl(ctx, r.kubernetes, args...); err != nil {
			return err
		}
	}
	const tour = `
Look around:
  export KUBECONFIG=%[1]s/kubeconfig PATH=%[1]s/bin:$PATH

The shop of acme and its page, from outside, by its hostname:
  curl --cacert %[1]s/ca.crt --resolve %[3]s:%[2]d:127.0.0.1 https://%[3]s:%[2]d/healthz
  curl --cacert %[1]s/ca.crt --resolve %[3]s:%[2]d:127.0.0.1 https://%[3]s:%[2]d/
  curl --cacert %[1]s/ca.crt --resolve %[3]s:%[2]d:127.0.0.1 https://%[3]s:%[2]d/orders --json '{"number": "A-1", "lines": [{"article": "bolt"}]}'

The shop of globex, whose worker packs what is ordered, and its page:
  curl --cacert %[1]s/ca.crt --resolve %[4]s:%[2]d:127.0.0.1 https://%[4]s:%[2]d/orders --json '{"number": "G-1", "lines": [{"article": "nut"}], "fields": {"costCentre": "4711"}}'
  curl --cacert %[1]s/ca.crt --resolve %[4]s:%[2]d:127.0.0.1 https://%[4]s:%[2]d/
  kubectl logs --namespace globex deployment/packing

The shops in FastAPI and Pyramid have a page each, too:
  curl --cacert %[1]s/ca.crt --resolve %[5]s:%[2]d:127.0.0.1 https://%[5]s:%[2]d/
  curl --cacert %[1]s/ca.crt --resolve %[6]s:%[2]d:127.0.0.1 https://%[6]s:%[2]d/

From a pod of acme it answers; from one of globex nothing comes back:
  kubectl exec --namespace acme deployment/app -- curl -sS --max-time 3 http://app.acme:8080/healthz
  kubectl exec --namespace globex deployment/app -- curl -sS --max-time 3 http://app.acme:8080/healthz

What runs, and what it is told:
  kubectl logs --namespace acme deployment/app
  kubectl exec --namespace acme deployment/app -- id
  kubectl logs --namespace tenantry-system deployment/tenantry-manager --tail=5
  kubectl describe tenant acme

Stop it all:
  make demo-down
`
	fmt.Printf(tour, r.local, r.gateway, apps[0].hostname, apps[1].hostname, apps[2].hostname, apps[3].hostname)
	return nil
}
