package environment

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/hack/manifests"
)

// sampleRemovalTimeout is how long an object of a sample may take to be deleted.
const sampleRemovalTimeout = 2 * time.Minute

// Sample is a folder of manifests that a user can apply.
type Sample struct {
	// Name is the name of the folder.
	Name string
	// Objects are the objects in the order in which "kubectl apply -f" applies them.
	Objects []*unstructured.Unstructured
}

// Samples reads dir and the folders in it, each of which is a sample.
func Samples(dir string) ([]Sample, error) {
	byFolder := map[string]*Sample{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" || entry.Name() == "kustomization.yaml" {
			return err
		}
		folder := filepath.Dir(path)
		if byFolder[folder] == nil {
			byFolder[folder] = &Sample{Name: filepath.Base(folder)}
		}
		objects, err := readManifest(path)
		byFolder[folder].Objects = append(byFolder[folder].Objects, objects...)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(byFolder) == 0 {
		return nil, fmt.Errorf("there are no manifests in %s", dir)
	}
	samples := make([]Sample, 0, len(byFolder))
	for _, sample := range byFolder {
		samples = append(samples, *sample)
	}
	slices.SortFunc(samples, func(a, b Sample) int { return strings.Compare(a.Name, b.Name) })
	return samples, nil
}

func readManifest(path string) ([]*unstructured.Unstructured, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	objects, err := manifests.Read(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return objects, nil
}

// of returns the sample's objects of a kind.
func (s Sample) of(kind string) []*unstructured.Unstructured {
	return slices.DeleteFunc(slices.Clone(s.Objects), func(object *unstructured.Unstructured) bool { return object.GetKind() != kind })
}

// RunsServers reports whether one of the tenants has a dedicated PostgreSQL server, for which the cluster needs
// nodes that run containers.
func (s Sample) RunsServers() bool {
	return slices.ContainsFunc(s.of("Tenant"), func(tenant *unstructured.Unstructured) bool {
		isolation, _, _ := unstructured.NestedString(tenant.Object, "spec", "database", "isolation")
		return isolation == string(v1alpha1.DatabaseIsolationDedicated)
	})
}

// ApplySample creates the objects of a sample unchanged, except that it starts a PostgreSQL server for each
// DatabaseServer, and returns the sample's tenants. Unknown fields are errors. Everything is deleted at the end of
// the spec.
func (e *Environment) ApplySample(ctx context.Context, sample Sample) []*v1alpha1.Tenant {
	ginkgo.GinkgoHelper()
	for _, server := range sample.of("DatabaseServer") {
		gomega.Expect(e.startServerOf(ctx, sample, server)).To(gomega.Succeed())
	}
	strict := client.WithFieldValidation(e.Client, client.FieldValidation(metav1.FieldValidationStrict))
	for _, object := range sample.Objects {
		object := object.DeepCopy()
		// An object of another spec with that name may still be being deleted.
		gomega.Eventually(ctx, e.gone(object)).Should(gomega.BeTrue())
		gomega.Expect(strict.Create(ctx, object)).To(gomega.Succeed(), object.GetKind()+" "+object.GetName())
		ginkgo.DeferCleanup(e.removeSampled, object, ginkgo.NodeTimeout(sampleRemovalTimeout))
	}
	var tenants []*v1alpha1.Tenant
	for _, tenant := range sample.of("Tenant") {
		tenants = append(tenants, &v1alpha1.Tenant{ObjectMeta: metav1.ObjectMeta{Name: tenant.GetName()}})
	}
	gomega.Expect(tenants).NotTo(gomega.BeEmpty(), "a sample shows a tenant")
	return tenants
}

// removeSampled deletes an object and waits until it is gone.
func (e *Environment) removeSampled(ctx ginkgo.SpecContext, object *unstructured.Unstructured) {
	gomega.Expect(client.IgnoreNotFound(e.Client.Delete(ctx, object))).To(gomega.Succeed())
	gomega.Eventually(ctx, e.gone(object)).Should(gomega.BeTrue())
}

// startServerOf starts a PostgreSQL server for a DatabaseServer of a sample, and changes the DatabaseServer and
// its Secret to use it.
func (e *Environment) startServerOf(ctx context.Context, sample Sample, registered *unstructured.Unstructured) error {
	namespace, _, _ := unstructured.NestedString(registered.Object, "spec", "adminSecretRef", "namespace")
	name, _, _ := unstructured.NestedString(registered.Object, "spec", "adminSecretRef", "name")
	secrets := sample.of("Secret")
	admin := slices.IndexFunc(secrets, func(secret *unstructured.Unstructured) bool {
		return secret.GetNamespace() == namespace && secret.GetName() == name
	})
	if admin < 0 {
		return fmt.Errorf("DatabaseServer %s refers to the Secret %s/%s, which the sample %s doesn't have; add it", registered.GetName(), namespace, name, sample.Name)
	}
	server, err := e.StartPostgres(ctx, sample.Name+"-"+registered.GetName())
	if err != nil {
		return err
	}
	ginkgo.DeferCleanup(func() error { return e.RemovePostgres(server) })
	return errors.Join(
		unstructured.SetNestedField(registered.Object, server.Host, "spec", "host"),
		unstructured.SetNestedField(registered.Object, int64(server.Port), "spec", "port"),
		unstructured.SetNestedField(registered.Object, string(v1alpha1.SSLModeDisable), "spec", "sslMode"),
		unstructured.SetNestedField(secrets[admin].Object, OperatorRole, "stringData", corev1.BasicAuthUsernameKey),
		unstructured.SetNestedField(secrets[admin].Object, server.Password, "stringData", corev1.BasicAuthPasswordKey),
	)
}

// gone returns a function that reports whether the object no longer exists.
func (e *Environment) gone(object *unstructured.Unstructured) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(object.GroupVersionKind())
		err := e.Client.Get(ctx, types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}, live)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	}
}
