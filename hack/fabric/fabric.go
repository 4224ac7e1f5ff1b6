// Package fabric makes a network of its own on this machine, for real nodes: a network namespace that a control plane,
// PostgreSQL and other servers run in, joined by a bridge to those of the nodes. No route leads out of it, so no
// packet can leave the machine, whatever pods send.
//
//	network, err := fabric.Start(fabric.Options{Bin: bin, Dir: dir})
//	…
//	defer network.Stop()
//	err = network.Attach(node, 1, 2) // node is a process with a network namespace of its own
//
// The namespaces have no names. They last as long as the processes in them.
package fabric

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/tenantry/tenantry/hack/process"
)

const (
	// Address is the fabric's own address, which its nodes and their pods reach.
	Address = "10.200.0.1"
	// ServiceRange has the addresses of Services.
	ServiceRange = "10.96.0.0/12"
	// PodRange has the addresses of pods.
	PodRange = "10.244.0.0/16"

	prefixLength = 24
	bridgeName   = "nodes"
	uplinkName   = "eth0"
	loopback     = "lo"
	// holder is the name of the process that keeps the network.
	holder    = "fabric"
	hold      = "hold"
	stopGrace = 5 * time.Second
)

// Programs are the names of the programs in Options.Bin that a network needs.
var Programs = []string{hold}

// Fabric is a running network.
type Fabric struct{ holder *process.Process }

// Options says what network to make.
type Options struct {
	// Bin is the folder of the programs that cluster.Build returns. Required.
	Bin string
	// Dir is the folder for the log and the record of the process that keeps the network. Required.
	Dir string
	// ParentDeathSignal, if set, is sent to that process when this program ends.
	ParentDeathSignal syscall.Signal
}

func (o Options) record() string { return filepath.Join(o.Dir, "run", holder+".json") }

// Start makes a network.
func Start(options Options) (*Fabric, error) {
	held, err := process.Start(process.Command{
		Name:              holder,
		Path:              filepath.Join(options.Bin, hold),
		LogPath:           filepath.Join(options.Dir, "logs", holder+".log"),
		RecordPath:        options.record(),
		ParentDeathSignal: options.ParentDeathSignal,
		Unshare:           unix.CLONE_NEWNET,
	})
	if err != nil {
		return nil, err
	}
	f := &Fabric{holder: held}
	if err := f.connect(); err != nil {
		return nil, fmt.Errorf("can't make the network of the nodes: %w", errors.Join(err, held.Kill()))
	}
	return f, nil
}

// Load returns the network that was started with the folder as its Dir. The error wraps fs.ErrNotExist if none was, or
// it has been stopped.
func Load(dir string) (*Fabric, error) {
	held, err := process.Load(Options{Dir: dir}.record())
	if err != nil {
		return nil, err
	}
	return &Fabric{holder: held}, nil
}

// Process returns the process that keeps the network. Programs that are started Inside of it use the network.
func (f *Fabric) Process() *process.Process { return f.holder }

// Namespace returns the path of the network namespace.
func (f *Fabric) Namespace() string { return fmt.Sprintf("/proc/%d/ns/net", f.holder.PID()) }

// Stop ends the network, as soon as the processes in it have ended, too.
func (f *Fabric) Stop() error { return f.holder.Stop(stopGrace) }

// connect brings up the loopback interface and the bridge, and sees to it that nothing leads out.
func (f *Fabric) connect() error {
	handle, err := Netlink(f.holder)
	if err != nil {
		return err
	}
	defer handle.Close()
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}}
	if err := errors.Join(up(handle, loopback), handle.LinkAdd(bridge), assign(handle, bridgeName, Address)); err != nil {
		return err
	}
	// What is sent to a pod or Service that doesn't exist fails at once.
	return errors.Join(blackhole(handle, PodRange), blackhole(handle, ServiceRange))
}

// Attach connects a node, a process with a network namespace of its own, by the address that NodeAddress returns for
// its number, and routes its pods' addresses to it. It has direct routes to the pods of the other ones of so many nodes.
func (f *Fabric) Attach(node *process.Process, number, nodes int) error {
	if err := f.attach(node, number, nodes); err != nil {
		return fmt.Errorf("can't connect %s to the network of the nodes: %w", node.Name(), err)
	}
	return nil
}

func (f *Fabric) attach(node *process.Process, number, nodes int) error {
	fabric, err := Netlink(f.holder)
	if err != nil {
		return err
	}
	defer fabric.Close()
	inside, err := Netlink(node)
	if err != nil {
		return err
	}
	defer inside.Close()

	bridge, err := fabric.LinkByName(bridgeName)
	if err != nil {
		return err
	}
	port := fmt.Sprintf("node%d", number)
	cable := &netlink.Veth{
		LinkAttrs:     netlink.LinkAttrs{Name: port, MasterIndex: bridge.Attrs().Index},
		PeerName:      uplinkName,
		PeerNamespace: netlink.NsPid(node.PID()),
	}
	if err := errors.Join(fabric.LinkAdd(cable), up(fabric, port), up(inside, loopback), assign(inside, uplinkName, NodeAddress(number))); err != nil {
		return err
	}
	for other := 1; other <= nodes; other++ {
		if other == number {
			continue
		}
		if err := route(inside, PodsOf(other), NodeAddress(other)); err != nil {
			return err
		}
	}
	return errors.Join(route(fabric, PodsOf(number), NodeAddress(number)), route(inside, "0.0.0.0/0", Address))
}

// NodeAddress returns the address of the node with the number, from 1.
func NodeAddress(number int) string { return fmt.Sprintf("10.200.0.%d", 10+number) }

// PodsOf returns the addresses of the pods on the node with the number.
func PodsOf(number int) string { return fmt.Sprintf("10.244.%d.0/24", number) }

// Netlink returns a connection to the kernel that configures the network of a process.
func Netlink(p *process.Process) (*netlink.Handle, error) {
	namespace, err := netns.GetFromPid(p.PID())
	if err != nil {
		return nil, err
	}
	handle, err := netlink.NewHandleAt(namespace)
	return handle, errors.Join(err, namespace.Close())
}

func up(handle *netlink.Handle, name string) error {
	link, err := handle.LinkByName(name)
	if err != nil {
		return err
	}
	return handle.LinkSetUp(link)
}

func assign(handle *netlink.Handle, name, address string) error {
	link, err := handle.LinkByName(name)
	if err != nil {
		return err
	}
	assigned := &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP(address), Mask: net.CIDRMask(prefixLength, 32)}}
	return errors.Join(handle.AddrAdd(link, assigned), handle.LinkSetUp(link))
}

func route(handle *netlink.Handle, destination, gateway string) error {
	_, network, err := net.ParseCIDR(destination)
	if err != nil {
		return err
	}
	return handle.RouteAdd(&netlink.Route{Dst: network, Gw: net.ParseIP(gateway)})
}

func blackhole(handle *netlink.Handle, destination string) error {
	_, network, err := net.ParseCIDR(destination)
	if err != nil {
		return err
	}
	return handle.RouteAdd(&netlink.Route{Dst: network, Type: unix.RTN_BLACKHOLE})
}
