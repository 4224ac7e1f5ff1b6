package chart

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	loader "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/cli"
	"helm.sh/helm/v4/pkg/kube"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	unstructured "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tenantry/tenantry/hack/manifests"
)

const (
	release   = "tenantry"
	namespace = "tenantry-system"
	// waitTimeout is how long Helm waits until what it has installed is ready.
	waitTimeout = time.Minute
	// templateVersion is the version of Kubernetes that charts are rendered for where there is no cluster.
	templateVersion = "v1.36.0"
)

// checkout is the folder of the checkout, and chartFolder that of the chart.
var (
	checkout    = filepath.Join("..", "..")
	chartFolder = filepath.Join(checkout, "charts", "tenantry")
)

type values = map[string]any

// template returns what "helm template" prints for these values, as objects, in a namespace.
func template(folder, in string, values values) ([]*unstructured.Unstructured, error) {
	chart, err := loader.Load(folder)
	if err != nil {
		return nil, err
	}
	if values == nil {
		values = map[string]any{}
	}
	install := action.NewInstall(action.NewConfiguration())
	install.ReleaseName, install.Namespace, install.DryRunStrategy = release, in, action.DryRunClient
	if install.KubeVersion, err = common.ParseKubeVersion(templateVersion); err != nil {
		return nil, err
	}
	made, err := install.Run(chart, values)
	if err != nil {
		return nil, err
	}
	return decode(made.(*releasev1.Release).Manifest)
}

// decode returns the objects of a manifest. What a value switches off leaves an empty document.
func decode(manifest string) ([]*unstructured.Unstructured, error) {
	objects, err := manifests.Read([]byte(manifest))
	return slices.DeleteFunc(objects, func(object *unstructured.Unstructured) bool { return len(object.Object) == 0 }), err
}

// kustomized returns the objects of a folder of config.
func kustomized(tb testing.TB, folder string) []*unstructured.Unstructured {
	tb.Helper()
	g := NewWithT(tb)
	output, err := exec.CommandContext(tb.Context(), filepath.Join(checkout, "bin", "kustomize"), "build", filepath.Join(checkout, "config", folder)).Output()
	g.Expect(err).NotTo(HaveOccurred())
	objects, err := decode(string(output))
	g.Expect(err).NotTo(HaveOccurred())
	return objects
}

// helm does what the command helm does, with a kubeconfig.
type helm struct{ *action.Configuration }

func newHelm(kubeconfig string) (*helm, error) {
	settings := cli.New()
	settings.KubeConfig = kubeconfig
	settings.SetNamespace(namespace)
	configuration := action.NewConfiguration()
	return &helm{configuration}, configuration.Init(settings.RESTClientGetter(), namespace, "")
}

// install is "helm install tenantry FOLDER --namespace tenantry-system --create-namespace --wait".
func (h *helm) install(ctx context.Context, folder string, values values) (*releasev1.Release, error) {
	chart, err := loader.Load(folder)
	if err != nil {
		return nil, err
	}
	install := action.NewInstall(h.Configuration)
	install.ReleaseName, install.Namespace, install.CreateNamespace = release, namespace, true
	install.WaitStrategy, install.Timeout = kube.StatusWatcherStrategy, waitTimeout
	made, err := install.RunWithContext(ctx, chart, values)
	if err != nil {
		return nil, fmt.Errorf("helm install: %w", err)
	}
	return made.(*releasev1.Release), nil
}

// upgrade is "helm upgrade tenantry FOLDER --wait".
func (h *helm) upgrade(ctx context.Context, folder string, values values) error {
	chart, err := loader.Load(folder)
	if err != nil {
		return err
	}
	upgrade := action.NewUpgrade(h.Configuration)
	upgrade.Namespace, upgrade.WaitStrategy, upgrade.Timeout = namespace, kube.StatusWatcherStrategy, waitTimeout
	upgrade.ServerSideApply = "auto"
	_, err = upgrade.RunWithContext(ctx, release, chart, values)
	return err
}

// uninstall is "helm uninstall tenantry --wait".
func (h *helm) uninstall() error {
	uninstall := action.NewUninstall(h.Configuration)
	uninstall.WaitStrategy, uninstall.Timeout = kube.StatusWatcherStrategy, waitTimeout
	_, err := uninstall.Run(release)
	return err
}

// previous returns a folder with the chart as it may have been in the release before: an older version, whose CRD of
// Tenants lacks a field that is new, that gave some roles to nobody, and whose image was another one. There is no such
// release yet.
func previous(tb testing.TB) string {
	tb.Helper()
	g := NewWithT(tb)
	folder := filepath.Join(tb.TempDir(), "tenantry")
	g.Expect(os.CopyFS(folder, os.DirFS(chartFolder))).To(Succeed())
	for file, change := range map[string][2]string{
		"Chart.yaml":  {"version: 0.1.0", "version: 0.0.9"},
		"values.yaml": {`tag: ""`, `tag: "v0.0.9"`},
		"templates/customresourcedefinition.yaml": {"\n              displayName:\n", "\n              formerName:\n"},
		"templates/clusterrole.yaml":              {`aggregate-to-view: "true"`, `aggregate-to-view: "false"`},
	} {
		path := filepath.Join(folder, file)
		content, err := os.ReadFile(path)
		g.Expect(err).NotTo(HaveOccurred())
		changed := strings.ReplaceAll(string(content), change[0], change[1])
		g.Expect(changed).NotTo(Equal(string(content)), "%s has no %q any more", file, change[0])
		g.Expect(os.WriteFile(path, []byte(changed), 0o600)).To(Succeed())
	}
	return folder
}
