package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart/common"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	loader "helm.sh/helm/v4/pkg/chart/v2/loader"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
)

// checkout is the folder of the checkout.
var checkout = filepath.Join("..", "..", "..")

func TestTheChartOfARelease(t *testing.T) {
	g := NewWithT(t)
	folder := filepath.Join(t.TempDir(), "tenantry")
	generate := exec.CommandContext(t.Context(), "go", "run", "./hack/chart", "-version=v1.2.3", "-image=registry.example/manager", folder)
	generate.Dir = checkout
	output, err := generate.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(output))

	archive := packaged(t, folder)
	later := time.Now().Add(time.Hour)
	g.Expect(os.Chtimes(filepath.Join(folder, "values.yaml"), later, later)).To(Succeed())
	first, err := os.ReadFile(archive)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.ReadFile(packaged(t, folder))).To(Equal(first), "the same chart gives the same archive")

	loaded, err := loader.LoadFile(archive)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(loaded.Metadata.Version).To(Equal("1.2.3"))
	g.Expect(loaded.Metadata.AppVersion).To(Equal("v1.2.3"))
	g.Expect(rendered(t, loaded)).To(ContainSubstring("image: registry.example/manager:v1.2.3\n"))

	inCheckout, err := loader.Load(filepath.Join(checkout, "charts", "tenantry"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(contents(loaded)).To(Equal(contents(inCheckout)), "all else is as in the checkout")
}

// packaged returns the archive of a chart.
func packaged(t *testing.T, folder string) string {
	t.Helper()
	to := t.TempDir()
	NewWithT(t).Expect(run(folder, to, time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC))).To(Succeed())
	return filepath.Join(to, "tenantry-1.2.3.tgz")
}

// rendered is what "helm template" prints.
func rendered(t *testing.T, loaded *chart.Chart) string {
	t.Helper()
	install := action.NewInstall(action.NewConfiguration())
	install.ReleaseName, install.Namespace, install.DryRunStrategy = "tenantry", "tenantry-system", action.DryRunClient
	var err error
	install.KubeVersion, err = common.ParseKubeVersion("v1.36.0")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	made, err := install.Run(loaded, map[string]any{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return made.(*releasev1.Release).Manifest
}

// contents returns the templates of a chart by their names.
func contents(loaded *chart.Chart) map[string]string {
	files := map[string]string{}
	for _, file := range loaded.Templates {
		files[file.Name] = string(file.Data)
	}
	return files
}
