package images

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
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

// layersOf returns the digests of an image's layers.
func layersOf(path string) (digests []v1.Hash) {
	GinkgoHelper()
	image, err := tarball.ImageFromPath(path, nil)
	Expect(err).NotTo(HaveOccurred())
	manifest, err := image.Manifest()
	Expect(err).NotTo(HaveOccurred())
	for _, layer := range manifest.Layers {
		digests = append(digests, layer.Digest)
	}
	return digests
}

var _ = Describe("An image", func() {
	var maker Maker

	BeforeEach(func() { maker = Maker{Dir: GinkgoT().TempDir()} })

	It("that a killed program was making leaves nothing behind once the next one is made, and no other is disturbed", func(ctx SpecContext) {
		program := filepath.Join(GinkgoT().TempDir(), "shop")
		Expect(os.WriteFile(program, []byte("a program"), 0o755)).To(Succeed())
		killed := []string{filepath.Join(maker.Dir, "new-1", "archive"), filepath.Join(maker.Dir, "layers", "new-2")}
		for _, path := range killed {
			Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
			Expect(os.WriteFile(path, []byte("half"), 0o644)).To(Succeed())
		}
		end, err := maker.begin()
		Expect(err).NotTo(HaveOccurred())
		for _, path := range killed {
			Expect(path).NotTo(BeAnExistingFile())
		}
		Expect(os.Mkdir(filepath.Join(maker.Dir, "new-3"), 0o755)).To(Succeed())
		_, err = maker.Make(ctx, Static("tenantry.local/shop:1", program))
		Expect(err).NotTo(HaveOccurred())
		Expect(filepath.Join(maker.Dir, "new-3")).To(BeADirectory(), "somebody makes something there")
		Expect(end()).To(Succeed())
		_, err = maker.Make(ctx, Static("tenantry.local/shop:2", program))
		Expect(err).NotTo(HaveOccurred())
		Expect(filepath.Glob(filepath.Join(maker.Dir, "new-*"))).To(BeEmpty())
	})

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
		Expect(os.ReadDir(maker.Dir)).To(HaveLen(4), "the two archives, the folder of layers, the lock, and nothing of their making")
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

	It("is an OCI archive, which tells its name to Docker and kind, too", func(ctx SpecContext) {
		program := filepath.Join(GinkgoT().TempDir(), "shop")
		Expect(os.WriteFile(program, []byte("a program"), 0o755)).To(Succeed())
		path, err := maker.Make(ctx, Static("tenantry.local/shop:1", program))
		Expect(err).NotTo(HaveOccurred())

		dir := GinkgoT().TempDir()
		Expect(exec.CommandContext(ctx, "tar", "--extract", "--file="+path, "--directory="+dir).Run()).To(Succeed())
		index, err := layout.ImageIndexFromPath(dir)
		Expect(err).NotTo(HaveOccurred())
		Expect(validate.Index(index)).To(Succeed())
		manifest, err := index.IndexManifest()
		Expect(err).NotTo(HaveOccurred())
		Expect(manifest.Manifests).To(ConsistOf(HaveField("Annotations", HaveKeyWithValue("io.containerd.image.name", "tenantry.local/shop:1"))))

		tag, err := name.NewTag("tenantry.local/shop:1")
		Expect(err).NotTo(HaveOccurred())
		docker, err := tarball.ImageFromPath(path, &tag)
		Expect(err).NotTo(HaveOccurred())
		Expect(validate.Image(docker)).To(Succeed())
	})

	It("shares the layer of its base with others, which is unpacked once", func(ctx SpecContext) {
		shell := func(name string, packages ...string) Image {
			return Image{Reference: "tenantry.local/" + name + ":1", Base: []string{"dash"}, Packages: packages}
		}
		paths, err := maker.MakeAll(ctx, shell("first"), shell("second", "gzip"))
		Expect(err).NotTo(HaveOccurred())
		first, second := layersOf(paths[0]), layersOf(paths[1])
		Expect(first).To(HaveLen(2), "base and files")
		Expect(second).To(HaveLen(3), "base, packages and files")
		Expect(first[0]).To(Equal(second[0]))

		kept, err := filepath.Glob(filepath.Join(maker.layers(), "*.tar"))
		Expect(err).NotTo(HaveOccurred())
		Expect(kept).To(HaveLen(2))
		for _, layer := range kept {
			// What a layer is made of next time shows whether it is made anew.
			Expect(os.WriteFile(layer, nil, 0o644)).To(Succeed())
		}
		path, err := maker.Make(ctx, shell("third"))
		Expect(err).NotTo(HaveOccurred())
		Expect(layersOf(path)[0]).NotTo(Equal(first[0]))
	})

	It("lacks what it says that it does not need, and what only that depends on", func(ctx SpecContext) {
		bundle := Image{
			Reference: "tenantry.local/bundle:1", Packages: []string{"ca-certificates"}, Without: []string{"openssl", "/usr/sbin/"},
		}
		path, err := maker.Make(ctx, bundle)
		Expect(err).NotTo(HaveOccurred())
		names := filesOf(path)
		Expect(names).To(ContainElement("etc/ssl/certs/ca-certificates.crt"), "which the installation would make")
		Expect(names).NotTo(ContainElement(Or(HaveSuffix("/openssl"), ContainSubstring("libc.so"), HavePrefix("usr/sbin/update"), HaveSuffix("/debconf"))))
	})

	It("for several architectures is one archive, with the image of each, and the same whenever it is made", func(ctx SpecContext) {
		folder := GinkgoT().TempDir()
		made := time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)
		var all []Image
		for _, architecture := range []string{"amd64", "arm64"} {
			program := filepath.Join(folder, architecture, "shop")
			Expect(os.Mkdir(filepath.Dir(program), 0o755)).To(Succeed())
			Expect(os.WriteFile(program, []byte("a program for "+architecture), 0o755)).To(Succeed())
			image := WithAuthorities(Static("tenantry.local/shop:1", program))
			image.Architecture, image.Created = architecture, made
			all = append(all, image)
		}
		paths := []string{filepath.Join(folder, "first.tar"), filepath.Join(folder, "second.tar")}
		first, err := maker.MakeIndex(ctx, paths[0], all...)
		Expect(err).NotTo(HaveOccurred())
		Expect(first.Packages).To(ContainElement(ContainSubstring("/ca-certificates_")))
		Expect(maker.MakeIndex(ctx, paths[1], all...)).To(Equal(first))
		content, err := os.ReadFile(paths[0])
		Expect(err).NotTo(HaveOccurred())
		Expect(os.ReadFile(paths[1])).To(Equal(content))

		dir := GinkgoT().TempDir()
		Expect(exec.CommandContext(ctx, "tar", "--extract", "--file="+paths[0], "--directory="+dir).Run()).To(Succeed())
		outer, err := layout.ImageIndexFromPath(dir)
		Expect(err).NotTo(HaveOccurred())
		// Without the content of layers: packages have folders in common, and each names them.
		Expect(validate.Index(outer, validate.Fast)).To(Succeed())
		manifest, err := outer.IndexManifest()
		Expect(err).NotTo(HaveOccurred())
		Expect(manifest.Manifests).To(ConsistOf(And(
			HaveField("Digest", first.Digest),
			HaveField("Annotations", And(
				HaveKeyWithValue("io.containerd.image.name", "tenantry.local/shop:1"), HaveKeyWithValue("org.opencontainers.image.ref.name", "1"))))))
		index, err := outer.ImageIndex(first.Digest)
		Expect(err).NotTo(HaveOccurred())
		inner, err := index.IndexManifest()
		Expect(err).NotTo(HaveOccurred())
		var shared []v1.Hash
		for number, image := range all {
			Expect(inner.Manifests[number].Platform.String()).To(Equal("linux/" + image.Architecture))
			one, err := index.Image(inner.Manifests[number].Digest)
			Expect(err).NotTo(HaveOccurred())
			config, err := one.ConfigFile()
			Expect(err).NotTo(HaveOccurred())
			Expect(config.Architecture).To(Equal(image.Architecture))
			Expect(config.Created.Time).To(BeTemporally("==", made))
			Expect(config.Config.User).To(Equal("65532:65532"))
			layers, err := one.Layers()
			Expect(err).NotTo(HaveOccurred())
			Expect(layers).To(HaveLen(2), "packages and files")
			digest, err := layers[0].Digest()
			Expect(err).NotTo(HaveOccurred())
			shared = append(shared, digest)
		}
		Expect(shared[0]).To(Equal(shared[1]), "a registry has the packages once")
	})

	It("for another architecture is refused with packages that are for this machine's", func(ctx SpecContext) {
		other := map[string]string{"amd64": "arm64", "arm64": "amd64"}[runtime.GOARCH]
		_, err := maker.Make(ctx, Image{Reference: "tenantry.local/shell:1", Packages: []string{"dash"}, Architecture: other})
		Expect(err).To(MatchError(MatchRegexp(`^can't make the image tenantry\.local/shell:1: \S+\.deb is not for %s; an image for another architecture`, other)))
	})

	It("that nothing has needed for a day is removed", func(ctx SpecContext) {
		program := filepath.Join(GinkgoT().TempDir(), "shop")
		var paths []string
		for _, content := range []string{"old", "new"} {
			Expect(os.WriteFile(program, []byte(content), 0o755)).To(Succeed())
			made, err := maker.MakeAll(ctx, Static("tenantry.local/shop:1", program))
			Expect(err).NotTo(HaveOccurred())
			paths = append(paths, made...)
		}
		longAgo := time.Now().Add(-unusedLimit - time.Minute)
		Expect(os.Chtimes(paths[0], longAgo, longAgo)).To(Succeed())
		Expect(os.Chtimes(paths[1], longAgo, longAgo)).To(Succeed())
		Expect(maker.MakeAll(ctx, Static("tenantry.local/shop:1", program))).To(HaveExactElements(paths[1]))
		Expect(paths[0]).NotTo(BeAnExistingFile())
		Expect(paths[1]).To(BeAnExistingFile())
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
