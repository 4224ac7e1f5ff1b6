package dedicated

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tenantry/tenantry/hack/process"
	"github.com/tenantry/tenantry/internal/naming"
)

// images is the PATH that the containers' images would have.
const images = "PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin"

// port is PostgreSQL's.
const port = "5432"

// fast is the signal for PostgreSQL's fast shutdown, as pg_ctl stop --mode=fast in the pods' preStop hook sends
// it.
const fast = syscall.SIGINT

//go:embed container.sh
var containerScript string

// node runs the pods of database servers as processes, with the commands, arguments, variables, volumes, users and
// capabilities in their specs, each in its own network namespace. It updates mounted Secrets. It has no images,
// and the pods' status is kwok's.
type node struct {
	client client.WithWatch
	dir    string
	// hosts is the file with the addresses of the servers, which replaces the cluster's DNS.
	hosts string

	cancel context.CancelFunc
	done   sync.WaitGroup

	mutex   sync.Mutex
	servers map[string]*network
	pods    map[types.UID]*process.Process

	secrets sync.Mutex               // guards mounted, and what is written for it
	mounted map[string]mountedSecret // by folder
}

// mountedSecret is a Secret that a pod has as a volume.
type mountedSecret struct {
	name  string
	mode  os.FileMode
	group int
}

// network is the address of a server on the loopback interface, which forwards to its pod, since the pod's network
// namespace isn't connected to this machine's network.
type network struct {
	listener net.Listener
	mutex    sync.Mutex
	pod      *process.Process
}

func (n *network) address() string {
	host, _, _ := net.SplitHostPort(n.listener.Addr().String())
	return host
}

func (n *network) set(pod *process.Process) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.pod = pod
}

// serve forwards connections to the pod until the listener is closed.
func (n *network) serve() {
	for {
		caller, err := n.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer caller.Close()
			server, err := n.dial()
			if err != nil {
				return
			}
			defer server.Close()
			go func() {
				_, _ = io.Copy(server, caller) // it ends when either side does
				server.Close()
			}()
			_, _ = io.Copy(caller, server)
		}()
	}
}

// dial connects to the pod from inside its network namespace.
func (n *network) dial() (net.Conn, error) {
	n.mutex.Lock()
	pod := n.pod
	n.mutex.Unlock()
	if pod == nil || !pod.Alive() {
		return nil, errors.New("no pod runs")
	}
	type result struct {
		conn net.Conn
		err  error
	}
	dialed := make(chan result, 1)
	go func() {
		// The thread is never unlocked, so that it ends with the goroutine and is not reused.
		runtime.LockOSThread()
		namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pod.PID()))
		if err != nil {
			dialed <- result{nil, err}
			return
		}
		defer namespace.Close()
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			dialed <- result{nil, err}
			return
		}
		conn, err := net.Dial("tcp4", "127.0.0.1:"+port)
		dialed <- result{conn, err}
	}()
	outcome := <-dialed
	return outcome.conn, outcome.err
}

// startNode runs the present and future pods in the namespace of the servers.
func startNode(c client.WithWatch, dir, hosts string, log io.Writer) (*node, error) {
	ctx, cancel := context.WithCancel(context.Background())
	n := &node{
		client: c, dir: dir, hosts: hosts, cancel: cancel,
		servers: map[string]*network{}, pods: map[types.UID]*process.Process{}, mounted: map[string]mountedSecret{},
	}
	pods, err := c.Watch(ctx, &corev1.PodList{}, client.InNamespace(naming.DatabasesNamespace), client.HasLabels{naming.LabelServer})
	if err != nil {
		cancel()
		return nil, err
	}
	secrets, err := c.Watch(ctx, &corev1.SecretList{}, client.InNamespace(naming.DatabasesNamespace))
	if err != nil {
		cancel()
		return nil, err
	}
	n.done.Go(func() {
		defer pods.Stop()
		for event := range pods.ResultChan() {
			if pod, ok := event.Object.(*corev1.Pod); ok {
				if err := n.follow(ctx, event.Type, pod); err != nil {
					fmt.Fprintf(log, "pod %s: %v\n", pod.Name, err)
				}
			}
		}
	})
	n.done.Go(func() {
		defer secrets.Stop()
		for event := range secrets.ResultChan() {
			if secret, ok := event.Object.(*corev1.Secret); ok && event.Type != watch.Deleted {
				if err := n.refresh(ctx, secret.Name); err != nil {
					fmt.Fprintf(log, "secret %s: %v\n", secret.Name, err)
				}
			}
		}
	})
	return n, nil
}

// stop ends all pods.
func (n *node) stop() error {
	n.cancel()
	n.done.Wait()
	var failures []error
	for _, running := range n.pods {
		failures = append(failures, running.Stop(time.Minute))
	}
	for _, network := range n.servers {
		failures = append(failures, network.listener.Close())
	}
	mounted, err := filepath.Glob(n.volume("*"))
	failures = append(failures, err)
	for _, dir := range mounted {
		if err := unix.Unmount(dir, 0); err != nil && !errors.Is(err, unix.EINVAL) { // that is no mount
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (n *node) follow(ctx context.Context, event watch.EventType, pod *corev1.Pod) error {
	n.mutex.Lock()
	running := n.pods[pod.UID]
	n.mutex.Unlock()
	switch {
	case event == watch.Deleted && running != nil:
		n.set(pod.UID, nil)
		return running.Stop(time.Minute)
	case event != watch.Deleted && running == nil && pod.Spec.NodeName != "" && pod.DeletionTimestamp.IsZero():
		return n.start(ctx, pod)
	}
	return nil
}

func (n *node) set(pod types.UID, running *process.Process) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if running == nil {
		delete(n.pods, pod)
		return
	}
	n.pods[pod] = running
}

// start runs the init containers one after the other, and then the container.
func (n *node) start(ctx context.Context, pod *corev1.Pod) error {
	network, err := n.networkOf(pod.Labels[naming.LabelServer])
	if err != nil {
		return err
	}
	volumes, err := n.mount(ctx, pod)
	if err != nil {
		return err
	}
	for i := range pod.Spec.InitContainers {
		started, err := n.run(pod, &pod.Spec.InitContainers[i], volumes)
		if err != nil {
			return err
		}
		<-started.Exited()
		if code := started.ExitCode(); code != 0 {
			return fmt.Errorf("init container %s ended with %d; see %s", started.Name(), code, started.LogPath())
		}
	}
	started, err := n.run(pod, &pod.Spec.Containers[0], volumes)
	if err != nil {
		return err
	}
	n.set(pod.UID, started)
	network.set(started)
	return nil
}

func (n *node) run(pod *corev1.Pod, container *corev1.Container, volumes map[string]string) (*process.Process, error) {
	root := filepath.Join(n.dir, "pods", string(pod.UID), "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	args := []string{"--mount", "--net", "bash", "-c", containerScript, "container.sh",
		root, strconv.FormatInt(*pod.Spec.SecurityContext.RunAsUser, 10), images}
	for _, variable := range container.Env {
		args = append(args, variable.Name+"="+variable.Value)
	}
	args = append(args, "--")
	for _, mount := range container.VolumeMounts {
		args = append(args, volumes[mount.Name]+":"+mount.MountPath)
	}
	args = append(append(append(args, "--"), container.Command...), container.Args...)
	return process.Start(process.Command{
		Name: pod.Name + "/" + container.Name, Path: "unshare", Args: args, StopSignal: fast, ParentDeathSignal: syscall.SIGKILL,
		LogPath: filepath.Join(n.dir, "logs", pod.Name+"-"+container.Name+".log"),
	})
}

// networkOf returns the network of a server; a new one the first time.
func (n *node) networkOf(server string) (*network, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if found := n.servers[server]; found != nil {
		return found, nil
	}
	listener, err := listen()
	if err != nil {
		return nil, err
	}
	added := &network{listener: listener}
	go added.serve()
	n.servers[server] = added
	file, err := os.OpenFile(n.hosts, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(file, "%s %s\n", added.address(), naming.ServerHost(server))
	return added, errors.Join(err, file.Close())
}

// listen listens on an address that no other server uses, of this node or of another process.
func listen() (net.Listener, error) {
	for host := 1; ; host++ {
		listener, err := net.Listen("tcp4", fmt.Sprintf("127.77.0.%d:%s", host, port))
		if !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
	}
}

// addressOf returns the address of a server; empty as long as none of its pods has run.
func (n *node) addressOf(server string) string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if found := n.servers[server]; found != nil {
		return found.address()
	}
	return ""
}

// crash kills the container of a pod, and restarts it as a kubelet does.
func (n *node) crash(ctx context.Context, pod *corev1.Pod) error {
	n.mutex.Lock()
	running := n.pods[pod.UID]
	n.mutex.Unlock()
	if err := running.Kill(); err != nil {
		return err
	}
	return n.start(ctx, pod)
}

// volume returns the folder with the volume of a claim.
func (n *node) volume(claim string) string { return filepath.Join(n.dir, "volumes", claim) }

// mount makes a folder of each volume.
func (n *node) mount(ctx context.Context, pod *corev1.Pod) (map[string]string, error) {
	volumes := map[string]string{}
	group := int(*pod.Spec.SecurityContext.FSGroup)
	for _, volume := range pod.Spec.Volumes {
		dir := filepath.Join(n.dir, "pods", string(pod.UID), volume.Name)
		files := map[string][]byte{}
		switch {
		case volume.PersistentVolumeClaim != nil:
			dir = n.volume(volume.PersistentVolumeClaim.ClaimName)
		case volume.Secret != nil:
			secret := mountedSecret{volume.Secret.SecretName, os.FileMode(*volume.Secret.DefaultMode), group}
			if err := n.mountSecret(ctx, dir, secret); err != nil {
				return nil, err
			}
			volumes[volume.Name] = dir
			continue
		case volume.ConfigMap != nil:
			config := &corev1.ConfigMap{}
			if err := n.client.Get(ctx, types.NamespacedName{Namespace: pod.Namespace, Name: volume.ConfigMap.Name}, config); err != nil {
				return nil, err
			}
			for name, content := range config.Data {
				files[name] = []byte(content)
			}
		}
		if err := write(dir, files, 0o644, group); err != nil {
			return nil, err
		}
		volumes[volume.Name] = dir
	}
	return volumes, nil
}

func (n *node) mountSecret(ctx context.Context, dir string, secret mountedSecret) error {
	n.secrets.Lock()
	defer n.secrets.Unlock()
	n.mounted[dir] = secret
	return n.project(ctx, dir, secret)
}

// refresh updates a Secret in the pods that mount it.
func (n *node) refresh(ctx context.Context, name string) error {
	n.secrets.Lock()
	defer n.secrets.Unlock()
	for dir, secret := range n.mounted {
		if secret.name == name {
			if err := n.project(ctx, dir, secret); err != nil {
				return err
			}
		}
	}
	return nil
}

// project writes the files of a Secret as a kubelet does: behind a symbolic link, so that all of them
// change at the same moment.
func (n *node) project(ctx context.Context, dir string, mounted mountedSecret) error {
	secret := &corev1.Secret{}
	if err := n.client.Get(ctx, types.NamespacedName{Namespace: naming.DatabasesNamespace, Name: mounted.name}, secret); err != nil {
		return err
	}
	if err := write(dir, nil, 0, mounted.group); err != nil {
		return err
	}
	version := ".." + secret.ResourceVersion
	if err := write(filepath.Join(dir, version), secret.Data, mounted.mode, mounted.group); err != nil {
		return err
	}
	for name := range secret.Data {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	next := filepath.Join(dir, "..data_next")
	return errors.Join(os.Symlink(version, next), os.Rename(next, filepath.Join(dir, "..data")))
}

// write creates a folder with files that root owns and the group can read, as a kubelet does.
func write(dir string, files map[string][]byte, mode os.FileMode, group int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	failures := []error{os.Chown(dir, 0, group), os.Chmod(dir, 0o2775)}
	for name, content := range files {
		path := filepath.Join(dir, name)
		failures = append(failures, os.WriteFile(path, content, mode), os.Chown(path, 0, group))
	}
	return errors.Join(failures...)
}
