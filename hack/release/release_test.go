package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
	intotov1 "github.com/in-toto/attestation/go/v1"
	. "github.com/onsi/gomega"
	"google.golang.org/protobuf/encoding/protojson"
	"sigs.k8s.io/yaml"
)

// checkout is the folder of the checkout.
func checkout(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return root
}

func TestVersions(t *testing.T) {
	for _, version := range []string{"v1.2.3", "v0.1.0", "v1.2.3-rc.1"} {
		NewWithT(t).Expect(check(version)).To(Succeed())
	}
	for _, version := range []string{"", "1.2.3", "v1.2", "latest", "v1.2.3+4", "v01.2.3", "57a28be", "unknown"} {
		NewWithT(t).Expect(check(version)).To(MatchError(MatchRegexp(`^".*" is no version that can be released; write it as v1\.2\.3`)), version)
	}
}

func TestChangesInNoCommit(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	for _, args := range [][]string{
		{"init", "--quiet"},
		{"-c", "user.name=nobody", "-c", "user.email=nobody@example.com", "commit", "--quiet", "--allow-empty", "--message=First", "--date=2026-01-02T03:04:05Z"},
	} {
		g.Expect(exec.CommandContext(t.Context(), "git", append([]string{"-C", root}, args...)...).Run()).To(Succeed())
	}
	clean, err := readSource(t.Context(), root, false)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(clean.commit).To(HaveLen(40))
	g.Expect(clean.changed).To(BeFalse())

	g.Expect(os.WriteFile(filepath.Join(root, "new.go"), []byte("package main\n"), 0o600)).To(Succeed())
	_, err = readSource(t.Context(), root, false)
	g.Expect(err).To(MatchError(HaveSuffix("commit or stash them, or add DIRTY=1 to try it out:\n?? new.go")))
	tried, err := readSource(t.Context(), root, true)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(tried).To(Equal(source{commit: clean.commit, changed: true, time: clean.time}))
}

// pause is a small program, which stands for the others where it is about one of them for another platform.
var pause = program{"./hack/images/pause", "linux", "arm64"}

// released makes a release of one program in a checkout, with all but the chart, which test/chart makes, and the manifest
// for krew, which is about more archives. It returns its folder.
func released(t *testing.T, root string) string {
	t.Helper()
	g := NewWithT(t)
	scratch := t.TempDir()
	release := release{
		version: "v1.2.3", image: "registry.example/manager", root: root, scratch: scratch, folder: filepath.Join(scratch, "files"),
		source:   source{commit: strings.Repeat("0a", 20), time: time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)},
		operator: []program{pause}, plugin: []program{pause},
	}
	g.Expect(os.Mkdir(release.folder, 0o755)).To(Succeed())
	g.Expect(release.compileAll(t.Context())).To(Succeed())
	g.Expect(release.makeImage(t.Context())).To(Succeed())
	g.Expect(release.makeArchives(t.Context())).To(Succeed())
	g.Expect(release.makeBills(t.Context())).To(Succeed())
	g.Expect(release.makeProvenance(t.Context())).To(Succeed())
	g.Expect(release.makeSums(t.Context())).To(Succeed())
	return release.folder
}

// elsewhere returns another checkout, with what a release of pause is made of.
func elsewhere(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	root := t.TempDir()
	for _, name := range []string{"go.mod", "LICENSE", "hack/images/pause/main.go"} {
		content, err := os.ReadFile(filepath.Join(checkout(t), name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(filepath.Join(root, name), content, 0o600)).To(Succeed())
	}
	// The archives are those of the same packages.
	g.Expect(os.Mkdir(filepath.Join(root, ".local"), 0o755)).To(Succeed())
	g.Expect(os.Symlink(filepath.Join(checkout(t), ".local", "images"), filepath.Join(root, ".local", "images"))).To(Succeed())
	return root
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return content
}

func TestARelease(t *testing.T) {
	g := NewWithT(t)
	folder := released(t, checkout(t))
	again := released(t, elsewhere(t))
	g.Expect(string(read(t, again, sumsFile))).To(Equal(string(read(t, folder, sumsFile))), "the same files, whenever and wherever they are made")
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", sumsFile)
	check.Dir = folder
	output, err := check.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(output))
	names := []string{imageArchive, "pause_linux_arm64.tar.gz", "pause_linux_arm64.cdx.json", provenanceFile}
	for _, name := range names {
		g.Expect(string(output)).To(ContainSubstring(name + ": OK\n"))
	}
	g.Expect(os.ReadDir(folder)).To(HaveLen(len(names) + 1))

	program := extract(t, filepath.Join(folder, "pause_linux_arm64.tar.gz"))
	parsed, err := elf.NewFile(bytes.NewReader(program))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(parsed.Machine).To(Equal(elf.EM_AARCH64))
	g.Expect(parsed.ImportedLibraries()).To(BeEmpty(), "it is static")

	var bill cyclonedx.BOM
	g.Expect(cyclonedx.NewBOMDecoder(bytes.NewReader(read(t, folder, "pause_linux_arm64.cdx.json")), cyclonedx.BOMFileFormatJSON).Decode(&bill)).To(Succeed())
	g.Expect(bill.Metadata.Component.PackageURL).To(Equal("pkg:golang/github.com/tenantry/tenantry@v1.2.3?goarch=arm64&goos=linux#hack/images/pause"))
	g.Expect(*bill.Components).To(ContainElement(HaveField("PackageURL", HavePrefix("pkg:golang/std@1."))))
}

// extract returns the program in an archive of the plugin, which has its license, too.
func extract(t *testing.T, path string) (program []byte) {
	t.Helper()
	g := NewWithT(t)
	compressed, err := gzip.NewReader(bytes.NewReader(read(t, path)))
	g.Expect(err).NotTo(HaveOccurred())
	content := map[string][]byte{}
	for archive := tar.NewReader(compressed); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(header.Uname).To(BeEmpty())
		content[header.Name], err = io.ReadAll(archive)
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(content).To(HaveLen(2))
	g.Expect(content).To(HaveKeyWithValue("LICENSE", read(t, checkout(t), "LICENSE")))
	return content["pause"]
}

func TestTheProvenanceIsOfAllFiles(t *testing.T) {
	g := NewWithT(t)
	deb := filepath.Join(t.TempDir(), "tzdata_2026a-0+deb12u1_all.deb")
	g.Expect(os.WriteFile(deb, []byte("zones"), 0o600)).To(Succeed())
	release := release{version: "v1.2.3", image: "registry.example/manager", folder: t.TempDir(), source: source{commit: strings.Repeat("0a", 20), changed: true}}
	release.index.Packages = []string{deb}
	g.Expect(os.WriteFile(filepath.Join(release.folder, "a.tgz"), []byte("a"), 0o600)).To(Succeed())
	g.Expect(release.makeProvenance(t.Context())).To(Succeed())

	content := read(t, release.folder, provenanceFile)
	statement := &intotov1.Statement{}
	g.Expect(protojson.Unmarshal(content, statement)).To(Succeed())
	g.Expect(statement.Validate()).To(Succeed())
	g.Expect(statement.PredicateType).To(Equal("https://slsa.dev/provenance/v1"))
	g.Expect(statement.Subject).To(HaveExactElements(And(
		HaveField("Name", "a.tgz"),
		HaveField("Digest", HaveKeyWithValue("sha256", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb")))))
	g.Expect(string(content)).To(ContainSubstring("Nobody has signed this statement"))
	g.Expect(string(content)).To(ContainSubstring(`"uri": "git+https://github.com/tenantry/tenantry@` + release.source.commit))
	g.Expect(string(content)).To(ContainSubstring(`"uri": "pkg:deb/debian/tzdata@2026a-0%2Bdeb12u1?arch=all"`))
	g.Expect(string(content)).To(ContainSubstring(`"changesInNoCommit": true`))
}

func TestABillHasEachModule(t *testing.T) {
	g := NewWithT(t)
	// A program that is there already, with modules of others in it: this test.
	this, err := os.Executable()
	g.Expect(err).NotTo(HaveOccurred())
	release := release{version: "v1.2.3", scratch: t.TempDir(), folder: t.TempDir(), source: source{time: time.Unix(1, 0).UTC()}}
	tested := program{"./hack/release", "linux", "amd64"}
	g.Expect(os.MkdirAll(filepath.Dir(release.compiled(tested)), 0o755)).To(Succeed())
	g.Expect(os.Symlink(this, release.compiled(tested))).To(Succeed())
	g.Expect(release.makeBill(tested, []cyclonedx.Component{debOf("/tmp/ca-certificates_1%3a2026+b1_all.deb")})).To(Succeed())

	var bill cyclonedx.BOM
	g.Expect(cyclonedx.NewBOMDecoder(bytes.NewReader(read(t, release.folder, "release_linux_amd64.cdx.json")), cyclonedx.BOMFileFormatJSON).Decode(&bill)).To(Succeed())
	g.Expect(bill.SpecVersion).To(Equal(cyclonedx.SpecVersion1_6))
	purls := map[string]bool{}
	for _, component := range *bill.Components {
		purls[component.PackageURL] = true
		g.Expect(component.Version).NotTo(BeEmpty(), component.Name)
	}
	g.Expect(purls).To(HaveLen(len(*bill.Components)), "none is there twice")
	g.Expect(purls).To(HaveKey("pkg:deb/debian/ca-certificates@1%3A2026%2Bb1?arch=all"))
	for line := range strings.SplitSeq(goList(t), "\n") {
		g.Expect(purls).To(HaveKey(line))
	}
}

// goList returns the modules of the packages that what is tested imports, as Go lists them. It is these that Go's linker
// tells a test.
func goList(t *testing.T) string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if .Version}}pkg:golang/{{.Path}}@{{.Version}}{{end}}{{end}}", ".")
	output, err := list.Output()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return strings.ReplaceAll(strings.TrimSpace(string(output)), "+", "%2B")
}

func TestTheManifestForKrewHasTheChecksums(t *testing.T) {
	g := NewWithT(t)
	release := release{version: "v1.2.3", root: checkout(t), folder: t.TempDir(), plugin: plugin}
	sums := map[string]string{}
	for _, program := range plugin {
		path := filepath.Join(release.folder, archiveOf(program))
		g.Expect(os.WriteFile(path, []byte(program.name()), 0o600)).To(Succeed())
		sum, err := sumOf(path)
		g.Expect(err).NotTo(HaveOccurred())
		sums["https://github.com/tenantry/tenantry/releases/download/v1.2.3/"+archiveOf(program)] = sum
	}
	g.Expect(release.makeKrewManifest(t.Context())).To(Succeed())
	var manifest struct {
		Spec struct {
			Version   string
			Platforms []struct {
				URI, SHA256, Bin string
			}
		}
	}
	content := read(t, release.folder, "krew-tenantry.yaml")
	g.Expect(yaml.Unmarshal(content, &manifest)).To(Succeed(), string(content))
	g.Expect(manifest.Spec.Version).To(Equal("v1.2.3"))
	found := map[string]string{}
	for _, platform := range manifest.Spec.Platforms {
		found[platform.URI] = platform.SHA256
	}
	g.Expect(found).To(Equal(sums))

	release.plugin = append(release.plugin, program{"./cmd/kubectl-tenantry", "plan9", "amd64"})
	g.Expect(release.makeKrewManifest(t.Context())).To(MatchError(".krew.yaml doesn't name kubectl-tenantry_plan9_amd64.tar.gz"))
	release.plugin = plugin[1:]
	g.Expect(release.makeKrewManifest(t.Context())).To(MatchError(ContainSubstring("this release has no kubectl-tenantry_linux_amd64.tar.gz")))
}
