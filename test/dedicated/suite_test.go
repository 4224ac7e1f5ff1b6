// Package dedicated tests tenants with dedicated PostgreSQL servers. The pods of the servers run for real: see
// node.
package dedicated

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/envtest/komega"

	"github.com/tenantry/tenantry/hack/apt"
	"github.com/tenantry/tenantry/test/environment"
)

const (
	specTimeout = 3 * time.Minute
	// expandable and fixed are StorageClasses whose volumes can and can't grow. fixed is the default one.
	expandable, fixed = "expandable", "fixed"
	// volumeSize is the size of all volumes in the cluster.
	volumeSize = "10Gi"
	// volumes is the number of volumes of each StorageClass, more than the specs need.
	volumes = 32
)

var (
	env     *environment.Environment
	machine *node
)

func TestDedicated(t *testing.T) {
	environment.RunSpecs(t, "Dedicated")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	if os.Geteuid() != 0 {
		Skip("Only root can run the servers' pods in networks and roots of their own.")
	}
	Expect(apt.Ensure(ctx, GinkgoWriter, "iproute2", "util-linux")).To(Succeed())
	if output, err := exec.CommandContext(ctx, "unshare", "--mount", "--net", "true").CombinedOutput(); err != nil {
		Skip(fmt.Sprintf("This machine allows no networks and roots of their own: %s", output))
	}
	hosts := filepath.Join(GinkgoT().TempDir(), "hosts")
	Expect(os.WriteFile(hosts, []byte("127.0.0.1 localhost\n"), 0o644)).To(Succeed())
	var err error
	env, err = environment.Start(ctx, environment.Options{
		Name: "dedicated", HostsPath: hosts, Progress: GinkgoWriter,
		OperatorArgs: []string{"--leader-elect=false", "--zap-log-level=debug"},
	})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return env.Stop() })
	komega.SetClient(env.Client)
	machine, err = startNode(env.Client, env.Dir, hosts, GinkgoWriter)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() error { return machine.stop() })
	provideStorage(ctx)
}, NodeTimeout(20*time.Minute))

var _ = AfterEach(func(ctx SpecContext) {
	env.Explain(ctx, "get tenants,databaseservers -o wide", "get all,persistentvolumeclaims --namespace tenantry-databases")
}, NodeTimeout(time.Minute))

// provideStorage creates StorageClasses, and volumes that claims can be bound to.
func provideStorage(ctx context.Context) {
	GinkgoHelper()
	for _, class := range []string{expandable, fixed} {
		Expect(env.Client.Create(ctx, &storagev1.StorageClass{
			ObjectMeta: metav1.ObjectMeta{
				Name: class, Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": fmt.Sprint(class == fixed)},
			},
			Provisioner: "kubernetes.io/no-provisioner", AllowVolumeExpansion: new(class == expandable),
		})).To(Succeed())
		for number := range volumes {
			Expect(env.Client.Create(ctx, &corev1.PersistentVolume{
				ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", class, number)},
				Spec: corev1.PersistentVolumeSpec{
					Capacity:    corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(volumeSize)},
					AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: class,
					PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
					PersistentVolumeSource: corev1.PersistentVolumeSource{
						HostPath: &corev1.HostPathVolumeSource{Path: "/nowhere"},
					},
				},
			})).To(Succeed())
		}
	}
}
