// Command manager is the Tenantry operator.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"time"

	_ "k8s.io/client-go/plugin/pkg/client/auth"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/clusterdns"
	"github.com/tenantry/tenantry/internal/controller"
	"github.com/tenantry/tenantry/internal/database/postgres"
)

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

const (
	// concurrency is the number of concurrent reconciles of tenants. It is higher than the limit of concurrent
	// changes on a database server, so that tenants that wait for a server don't hold up the others.
	concurrency = 8
	// reconcileTimeout ends a reconcile that hangs.
	reconcileTimeout = 2 * time.Minute
	// shutdownTimeout is how long running reconciles may take to finish at shutdown.
	shutdownTimeout = 20 * time.Second
	// resolvConf is the file in which the kubelet gives a pod the cluster's nameservers.
	resolvConf = "/etc/resolv.conf"
)

// version is set when the program is linked.
var version = "unknown"

// options has the values of the flags.
type options struct {
	metricsAddress          string
	probeAddress            string
	leaderElection          bool
	leaderElectionNamespace string
	syncPeriod              time.Duration
	policyEnforcement       v1alpha1.PolicyEnforcement
	clusterDNS              *clusterdns.Setting
	logging                 zap.Options
}

func main() {
	if err := run(parse()); err != nil {
		ctrl.Log.Error(err, "The operator ended")
		os.Exit(1)
	}
}

func parse() options {
	var o options
	flag.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "The address of the metrics endpoint, by HTTPS and for authorized clients only; 0 turns it off.")
	flag.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "The address of /healthz and /readyz.")
	flag.BoolVar(&o.leaderElection, "leader-elect", true, "Let one of several replicas work at a time.")
	flag.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "The namespace of the leader's Lease. Left out, it is the namespace that the operator runs in.")
	flag.DurationVar(&o.syncPeriod, "sync-period", 10*time.Hour, "The time after which all objects are looked at again even though nothing changed.")
	o.policyEnforcement = v1alpha1.PolicyEnforce
	flag.Func("policy-enforcement", "What becomes of requests in tenants' namespaces that break a rule of spec.policy, in the whole cluster: Enforce refuses them, unless the Tenant says otherwise; Audit warns. (default Enforce)", o.setPolicyEnforcement)
	flag.Func("cluster-dns", "Where the pods of tenants find the cluster's DNS: a list of Services, as namespace/name, and IP addresses, for example openshift-dns/dns-default,169.254.20.10. (default read from the cluster)", o.setClusterDNS)
	o.logging.BindFlags(flag.CommandLine)
	flag.Parse()
	return o
}

func (o *options) setPolicyEnforcement(value string) error {
	o.policyEnforcement = v1alpha1.PolicyEnforcement(value)
	if o.policyEnforcement != v1alpha1.PolicyEnforce && o.policyEnforcement != v1alpha1.PolicyAudit {
		return fmt.Errorf("write %s or %s", v1alpha1.PolicyEnforce, v1alpha1.PolicyAudit)
	}
	return nil
}

func (o *options) setClusterDNS(value string) error {
	setting, err := clusterdns.Parse(value)
	o.clusterDNS = &setting
	return err
}

// dns returns the setting from the flag, or else from the cluster.
func (o *options) dns() (clusterdns.Setting, error) {
	if o.clusterDNS != nil {
		return *o.clusterDNS, nil
	}
	content, err := os.ReadFile(resolvConf)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return clusterdns.Setting{}, fmt.Errorf("can't read where the cluster's DNS is; set --cluster-dns: %w", err)
	}
	return clusterdns.Read(string(content)), nil
}

func run(o options) error {
	ctrl.SetLogger(zap.New(zap.UseFlagOptions(&o.logging)))
	restConfig, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("can't find the API server; run in a cluster, or set --kubeconfig: %w", err)
	}
	// The API server's priority and fairness limits requests better than a client can.
	restConfig.QPS = -1
	// Kubernetes 1.37 compresses each event of a watch separately, which costs both sides CPU time.
	restConfig.DisableCompression = true
	manager, err := ctrl.NewManager(restConfig, o.manager())
	if err != nil {
		return err
	}
	servers := &postgres.Servers{}
	defer servers.Close()
	dns, err := o.dns()
	if err != nil {
		return err
	}
	if err := controller.Setup(manager, servers, controller.Settings{Enforcement: o.policyEnforcement, DNS: dns}); err != nil {
		return err
	}
	if err := manager.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	if err := manager.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	ctrl.Log.Info("Starting Tenantry", "version", version)
	return manager.Start(ctrl.SetupSignalHandler())
}

func (o options) manager() ctrl.Options {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, gatewayv1.Install} {
		if err := add(scheme); err != nil {
			panic(err) // Two types of one name: a mistake in the code.
		}
	}
	cacheOptions := controller.CacheOptions()
	cacheOptions.SyncPeriod = &o.syncPeriod
	return ctrl.Options{
		Scheme: scheme,
		Cache:  cacheOptions,
		Client: controller.ClientOptions(),
		Controller: config.Controller{
			MaxConcurrentReconciles: concurrency,
			ReconciliationTimeout:   reconcileTimeout,
			EnableWarmup:            new(true),
		},
		Metrics: metricsserver.Options{
			BindAddress:    o.metricsAddress,
			SecureServing:  true,
			FilterProvider: filters.WithAuthenticationAndAuthorization,
		},
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElection,
		LeaderElectionID:              "tenantry.dev",
		LeaderElectionNamespace:       o.leaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(shutdownTimeout),
	}
}
