package node

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/tenantry/tenantry/hack/fabric"
)

const (
	containerdFile = "containerd.toml"
	kubeletFile    = "kubelet.yaml"
	kubeProxyFile  = "kube-proxy.yaml"
	networkFile    = "network.conflist"
	rulesFile      = "rules.txt"
)

//go:embed config
var templates embed.FS

// files knows where the files of a node are, and what the templates of its configuration ask for.
type files struct {
	Name, Dir, Address, Pods, Authority string
	Socket, Cgroup, ProxyKubeconfig     string
}

func newFiles(options Options) files {
	return files{
		Name:            Name(options.Number),
		Dir:             options.Dir,
		Address:         fabric.NodeAddress(options.Number),
		Pods:            fabric.PodsOf(options.Number),
		Authority:       options.Authority,
		Socket:          filepath.Join(options.Dir, "containerd.sock"),
		Cgroup:          cgroupOf(options.Dir),
		ProxyKubeconfig: options.Kubeconfig("system:kube-proxy"),
	}
}

// cgroupOf returns a name that no node in another folder has.
func cgroupOf(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return "/tenantry-" + hex.EncodeToString(sum[:4])
}

// PauseImage, DNS, PodRange and Queue are for the templates.
func (files) PauseImage() string { return PauseImage }
func (files) DNS() string        { return DNSAddress }
func (files) PodRange() string   { return fabric.PodRange }
func (files) Queue() int         { return queue }

func (f files) config(name string) string { return filepath.Join(f.Dir, "config", name) }
func (f files) log(program string) string { return filepath.Join(f.Dir, "logs", program+".log") }
func (f files) record(name string) string { return filepath.Join(f.Dir, "run", name+".json") }
func (f files) networkFolder() string     { return filepath.Join(f.Dir, "cni") }
func (f files) path(parts ...string) string {
	return filepath.Join(append([]string{f.Dir}, parts...)...)
}

// write removes what an earlier node has left, and writes the configuration of the programs.
func (f files) write() error {
	if err := f.remove(); err != nil {
		return err
	}
	for _, folder := range []string{f.path("config"), f.networkFolder()} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	parsed, err := template.ParseFS(templates, "config/*")
	if err != nil {
		return err
	}
	for name, path := range map[string]string{
		containerdFile: f.config(containerdFile),
		kubeletFile:    f.config(kubeletFile),
		kubeProxyFile:  f.config(kubeProxyFile),
		rulesFile:      f.config(rulesFile),
		networkFile:    filepath.Join(f.networkFolder(), "10-"+networkFile),
	} {
		if err := f.render(parsed.Lookup(name), path); err != nil {
			return fmt.Errorf("can't write %s: %w", path, err)
		}
	}
	return os.WriteFile(f.path("resolv.conf"), nil, 0o644)
}

func (f files) render(from *template.Template, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(from.Execute(file, f), file.Close())
}

// remove removes everything but the logs.
func (f files) remove() error {
	var errs []error
	for _, name := range []string{
		"config", "cni", "run", "ipam", "containerd", "containerd-state", "containerd.sock", "containerd.sock.ttrpc",
		"kubelet", "kubelet-pki", "pod-logs", "resolv.conf", "volumes",
	} {
		errs = append(errs, os.RemoveAll(f.path(name)))
	}
	return errors.Join(errs...)
}
