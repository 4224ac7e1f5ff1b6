// Package environment starts what a suite runs against: a real Kubernetes control plane, a real
// PostgreSQL, and the operator as a process with the rights of its own ServiceAccount. All of it
// listens on the loopback address only, and ends with the test program, however that ends.
//
//	env, err := environment.Start(ctx, environment.Options{Name: "integration"})
//	…
//	server, err := env.ApplyDatabaseServer(ctx, "shared", env.Postgres)
//	…
//	err = env.Stop()
package environment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
)

// Options says what environment to start.
type Options struct {
	// Name is part of the name of the environment's folder. Required.
	Name string
	// OperatorArgs are further arguments of the operator.
	OperatorArgs []string
	// APIServerArgs and ControllerManagerArgs are further arguments of the API server and of the controller manager.
	APIServerArgs, ControllerManagerArgs []string
	// HostsPath, if set, is the file that the operator sees as /etc/hosts.
	HostsPath string
	// Install installs the operator's API and rights; nil means operator.Install.
	Install func(context.Context, *cluster.ControlPlane) error
	// Progress gets a line for each step that takes long; nil means no output.
	Progress io.Writer
}

// Environment is a control plane, a PostgreSQL server and an operator. Its methods must not be
// called concurrently.
type Environment struct {
	// Kubernetes is the control plane. Its audit log has the operator's requests: see Audit.
	Kubernetes *cluster.ControlPlane
	// Postgres is the first PostgreSQL server; StartPostgres starts others.
	Postgres *postgres.Server
	// Operator is the operator that was started last.
	Operator *operator.Operator
	// Client is a client of the cluster's admin, without a cache. Its scheme has Kubernetes' own
	// types, that of CustomResourceDefinitions included, and v1alpha1.
	Client client.WithWatch
	// Audit has the requests that the operator has made.
	Audit *Audit
	// HostsPath and ResolvConfPath, if set, are the files that operators started from then on see as /etc/hosts and
	// /etc/resolv.conf. Only root may set them.
	HostsPath, ResolvConfPath string
	// Dir is the folder with the logs (logs/*.log, postgres/<name>/postgres.log).
	Dir string

	cluster  cluster.Options
	install  func(context.Context, *cluster.ControlPlane) error
	program  string
	args     []string
	progress io.Writer
	servers  []*postgres.Server
	keep     bool
}

// Start starts an environment and returns once all of it is ready. When a part doesn't come up,
// the error has the last lines of its log, nothing is left running, and the folder stays.
func Start(ctx context.Context, options Options) (*Environment, error) {
	dir, err := os.MkdirTemp("", "tenantry-"+options.Name+"-")
	if err != nil {
		return nil, fmt.Errorf("can't make the folder of the environment: %w", err)
	}
	// PostgreSQL may run as another user.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	env := &Environment{Dir: dir, install: options.Install, args: options.OperatorArgs, HostsPath: options.HostsPath, progress: options.Progress}
	env.cluster = cluster.Options{Dir: dir, AuditUsers: []string{operator.User}, APIServerArgs: options.APIServerArgs, ControllerManagerArgs: options.ControllerManagerArgs}
	if env.progress == nil {
		env.progress = io.Discard
	}
	if env.install == nil {
		env.install = operator.Install
	}
	if err := env.start(ctx); err != nil {
		env.Keep()
		return nil, errors.Join(err, env.Stop())
	}
	return env, nil
}

func (e *Environment) start(ctx context.Context) error {
	var err error
	if e.cluster.Bin, err = cluster.Build(ctx, e.progress); err != nil {
		return err
	}
	if e.program, err = operator.Build(ctx); err != nil {
		return err
	}
	if e.Kubernetes, err = cluster.Start(ctx, e.cluster); err != nil {
		return err
	}
	e.Audit = &Audit{path: e.Kubernetes.AuditLogPath()}
	if e.Client, err = newClient(e.Kubernetes); err != nil {
		return err
	}
	if err := e.install(ctx, e.Kubernetes); err != nil {
		return err
	}
	if e.Postgres, err = e.StartPostgres(ctx, "main"); err != nil {
		return err
	}
	if err := e.StartOperator(ctx); err != nil {
		return err
	}
	return e.awaitPolicies(ctx)
}

func newClient(kubernetes *cluster.ControlPlane) (client.WithWatch, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme), gatewayv1.Install(scheme)); err != nil {
		return nil, err
	}
	return client.NewWithWatch(kubernetes.Config(), client.Options{Scheme: scheme})
}

// StartOperator starts an operator with the arguments of Options, followed by these, and sets Operator. It returns
// an error if one is running: see RestartOperator and StartAnotherOperator.
func (e *Environment) StartOperator(ctx context.Context, args ...string) error {
	if e.Operator != nil && e.Operator.Alive() {
		return errors.New("the operator is running; it would work against another one")
	}
	started, err := operator.Start(ctx, operator.Options{
		Program: e.program, Kubernetes: e.Kubernetes, Dir: e.Dir, Args: slices.Concat(e.args, args),
		HostsPath: e.HostsPath, ResolvConfPath: e.ResolvConfPath,
	})
	if err != nil {
		return err
	}
	e.Operator = started
	return nil
}

// StartAnotherOperator starts an operator in addition to Operator, as a second replica, with the arguments of
// Options, followed by these. Its files are in the folder with that name in Dir. The caller must stop it.
func (e *Environment) StartAnotherOperator(ctx context.Context, name string, args ...string) (*operator.Operator, error) {
	return operator.Start(ctx, operator.Options{
		Program: e.program, Kubernetes: e.Kubernetes, Dir: filepath.Join(e.Dir, name), Args: slices.Concat(e.args, args),
	})
}

// RestartOperator stops Operator, if it runs, and starts another one as StartOperator does.
func (e *Environment) RestartOperator(ctx context.Context, args ...string) error {
	if err := e.Operator.Stop(); err != nil {
		return err
	}
	return e.StartOperator(ctx, args...)
}

// Keep makes Stop keep Dir, for finding out why a test failed.
func (e *Environment) Keep() { e.keep = true }

// Stop ends all that was started. It removes Dir, unless Keep was called.
func (e *Environment) Stop() error {
	var failures []error
	if e.Operator != nil {
		failures = append(failures, e.Operator.Stop())
	}
	for _, server := range e.servers {
		if e.keep {
			failures = append(failures, server.Stop())
		} else {
			failures = append(failures, server.Remove())
		}
	}
	if e.Kubernetes != nil {
		failures = append(failures, e.Kubernetes.Stop())
	}
	if e.keep {
		fmt.Fprintf(e.progress, "The logs are in %s.\n", e.Dir)
	} else {
		failures = append(failures, os.RemoveAll(e.Dir))
	}
	return errors.Join(failures...)
}
