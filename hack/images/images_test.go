package images

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

func TestImages(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Images")
}

// filesOf returns the paths in an image.
func filesOf(path string) []string {
	GinkgoHelper()
	image, err := tarball.ImageFromPath(path, nil)
	Expect(err).NotTo(HaveOccurred())
	content := mutate.Extract(image)
	defer content.Close()
	var names []string
	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		Expect(err).NotTo(HaveOccurred())
		names = append(names, header.Name)
	}
}

var _ = Describe("An image", func() {
	var maker Maker

	BeforeEach(func() { maker = Maker{Dir: GinkgoT().TempDir()} })

	It("of a program is the same whenever it is made", func(ctx SpecContext) {
		program := filepath.Join(GinkgoT().TempDir(), "shop")
		Expect(os.WriteFile(program, []byte("a program"), 0o755)).To(Succeed())
		first, err := maker.Make(ctx, Static("tenantry.local/shop:1", program, "--serve"))
		Expect(err).NotTo(HaveOccurred())
		content, err := os.ReadFile(first)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.Remove(first)).To(Succeed())
		second, err := maker.Make(ctx, Static("tenantry.local/shop:1", program, "--serve"))
		Expect(err).NotTo(HaveOccurred())
		Expect(second).To(Equal(first))
		Expect(os.ReadFile(second)).To(Equal(content))
		Expect(filesOf(second)).To(ConsistOf("shop", "etc/passwd", "etc/group"))

		By("and another one when the program is")
		Expect(os.WriteFile(program, []byte("another program"), 0o755)).To(Succeed())
		third, err := maker.Make(ctx, Static("tenantry.local/shop:1", program, "--serve"))
		Expect(err).NotTo(HaveOccurred())
		Expect(third).NotTo(Equal(first))
		Expect(os.ReadDir(maker.Dir)).To(HaveLen(2), "the two archives, and nothing of their making")
	})

	It("of a program that is missing is refused", func(ctx SpecContext) {
		_, err := maker.Make(ctx, Static("tenantry.local/shop:1", "/absent"))
		Expect(err).To(MatchError("can't make the image tenantry.local/shop:1: open /absent: no such file or directory"))
	})

	It("of Debian's packages has their files below /usr", func(ctx SpecContext) {
		path, err := maker.Make(ctx, Image{
			Reference: "tenantry.local/shell:1",
			Packages:  []string{"dash"},
			Files:     map[string]File{"/etc/passwd": {Content: []byte(users), Mode: 0o644}},
			Config:    v1.Config{Entrypoint: []string{"/bin/sh"}},
		})
		Expect(err).NotTo(HaveOccurred())
		names := filesOf(path)
		Expect(names).To(ContainElements("bin", "usr/bin/dash", "etc/passwd"))
		Expect(names).To(ContainElement(HaveSuffix("libc.so.6")))
		Expect(names).NotTo(ContainElement(Or(HavePrefix("bin/"), HavePrefix("usr/share/doc/"))))
		slices.Sort(names)
		Expect(slices.Compact(slices.Clone(names))).To(Equal(names), "nothing is there twice")
	})

	It("of a Python app has its modules compiled, the same whenever it is made", func(ctx SpecContext) {
		folder := GinkgoT().TempDir()
		Expect(os.WriteFile(filepath.Join(folder, "packages.txt"), []byte("python3-minimal\n"), 0o600)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(folder, "shop.py"), []byte("print('open')\n"), 0o600)).To(Succeed())
		app, err := App("tenantry.local/shop:1", folder)
		Expect(err).NotTo(HaveOccurred())
		path, err := maker.Make(ctx, app)
		Expect(err).NotTo(HaveOccurred())
		Expect(filesOf(path)).To(ContainElements(
			MatchRegexp(`^app/__pycache__/shop\.cpython-\d+\.pyc$`),
			MatchRegexp(`^usr/lib/python3\.\d+/__pycache__/os\.cpython-\d+\.pyc$`)))
		content, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(os.Remove(path)).To(Succeed())
		Expect(maker.Make(ctx, app)).To(Equal(path))
		Expect(os.ReadFile(path)).To(Equal(content))
	})
})
