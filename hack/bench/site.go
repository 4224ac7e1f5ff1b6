package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/cluster"
	"github.com/tenantry/tenantry/hack/operator"
	"github.com/tenantry/tenantry/hack/postgres"
	"github.com/tenantry/tenantry/hack/process"
)

const (
	serverName  = "bench"
	adminSecret = "bench-admin"
	// concurrency is the number of concurrent reconciles of the operator (cmd/manager).
	concurrency = 8

	// floorAccount is the ServiceAccount of the bare client, which distinguishes it from the admin in the audit log.
	floorAccount = "bench-floor"
	floorUser    = "system:serviceaccount:" + operator.Namespace + ":" + floorAccount
)

var (
	begin  = time.Now()
	scheme = runtime.NewScheme()
)

func init() {
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
}

func say(format string, args ...any) {
	fmt.Printf("[%4.0fs] %s\n", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
}

// site is a new control plane and a new PostgreSQL server.
type site struct {
	dir        string
	kubernetes *cluster.ControlPlane
	postgres   *postgres.Server
	admin      client.WithWatch
	requests   *requestLog
	// full says that the apps of the tenants have all that an app can have.
	full bool
}

// newSite starts a site. sites is the number of all sites, and tenants how many tenants each will have.
func newSite(ctx context.Context, bin, dir string, sites, tenants int) (*site, error) {
	s, err := newCluster(ctx, bin, dir, operator.User, floorUser)
	if err != nil {
		return nil, err
	}
	server := postgres.Options{Dir: postgresDir(dir, sites*tenants), EndWithStarter: true, Progress: os.Stdout}
	if s.postgres, err = postgres.Start(ctx, server); err != nil {
		return nil, errors.Join(err, s.close())
	}
	if err := s.create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: operator.Namespace, Name: adminSecret},
		StringData: map[string]string{"username": s.postgres.Username, "password": s.postgres.Password},
	}); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// programs returns all processes of the site.
func (s *site) programs() []*process.Process {
	return append(s.kubernetes.Processes(), s.postgres.Process())
}

// newCluster returns a site without PostgreSQL. Its log has the requests of the users.
func newCluster(ctx context.Context, bin, dir string, users ...string) (*site, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	// Nobody serves metrics here. Autoscalers would go on asking for them, and after a minute each tenant would say so.
	kubernetes, err := cluster.Start(ctx, cluster.Options{
		Bin: bin, Dir: dir, AuditUsers: users, ControllerManagerArgs: []string{"--controllers=*,-horizontal-pod-autoscaler-controller"},
	})
	if err != nil {
		return nil, err
	}
	s := &site{dir: dir, kubernetes: kubernetes, requests: &requestLog{path: kubernetes.AuditLogPath()}}
	if err := operator.Install(ctx, kubernetes); err != nil {
		return nil, errors.Join(err, s.close())
	}
	config := kubernetes.Config()
	config.DisableCompression = true // as the operator has it
	if s.admin, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// bytesPerDatabase is what PostgreSQL needs for a tenant, generously.
const bytesPerDatabase = 16 << 20

// postgresDir returns a folder in memory if that has room for the databases of all sites. Creating a database on a
// shared disk takes from 50 to 400 ms, and the benchmark would compare disks.
func postgresDir(dir string, tenants int) string {
	const memory = "/dev/shm"
	var room unix.Statfs_t
	if err := unix.Statfs(memory, &room); err != nil || room.Bavail*uint64(room.Bsize) < uint64(tenants)*bytesPerDatabase {
		return dir + "-postgres"
	}
	return fmt.Sprintf("%s/tenantry-bench-%d-%s", memory, os.Getpid(), filepath.Base(dir))
}

func (s *site) create(ctx context.Context, objects ...client.Object) error {
	for _, object := range objects {
		if err := s.admin.Create(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) close() error {
	var failures []error
	if s.postgres != nil {
		failures = append(failures, s.postgres.Remove())
	}
	return errors.Join(append(failures, s.kubernetes.Stop())...)
}

// clientOf returns a client with the rights of a ServiceAccount in the operator's namespace.
func (s *site) clientOf(ctx context.Context, account string) (client.WithWatch, error) {
	path := s.dir + "/" + account + ".kubeconfig"
	if err := s.kubernetes.ServiceAccountKubeconfig(ctx, operator.Namespace, account, path); err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

func (s *site) databaseServer() *v1alpha1.DatabaseServer {
	return &v1alpha1.DatabaseServer{
		ObjectMeta: metav1.ObjectMeta{Name: serverName},
		Spec: v1alpha1.DatabaseServerSpec{
			Host: s.postgres.Host, Port: int32(s.postgres.Port), SSLMode: v1alpha1.SSLModeDisable,
			AdminSecretRef: v1alpha1.SecretReference{Namespace: operator.Namespace, Name: adminSecret},
		},
	}
}

// tenant returns a tenant that has some of everything.
func tenant(name string) *v1alpha1.Tenant {
	return &v1alpha1.Tenant{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.TenantSpec{
			DisplayName: "Tenant " + name,
			Owners: []v1alpha1.Owner{
				{Kind: v1alpha1.OwnerKindUser, Name: "alice@" + name + ".example", Role: v1alpha1.OwnerRoleAdmin},
				{Kind: v1alpha1.OwnerKindGroup, Name: name + "-devs", Role: v1alpha1.OwnerRoleEditor},
			},
			Quota:    quantities("requests.cpu", "8", "requests.memory", "16Gi", "pods", "20"),
			Database: &v1alpha1.TenantDatabase{ServerRef: v1alpha1.DatabaseServerReference{Name: serverName}},
			App: &v1alpha1.TenantApp{
				Image: "registry.example/" + name + ":1.0.0", Replicas: ptr.To[int32](2), Port: 8080,
			},
			Config: map[string]string{"LOG_LEVEL": "info"},
		},
	}
}
