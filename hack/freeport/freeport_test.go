package freeport_test

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tenantry/tenantry/hack/freeport"
)

func TestPortsDiffer(t *testing.T) {
	const count = 300 // Of so many, some would be the same if each were found by itself.
	ports, err := freeport.Find(count)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != count {
		t.Errorf("of %d ports only %d differ", count, len(slices.Compact(ports)))
	}
}

func TestPortsAreFreeForTheirServers(t *testing.T) {
	ports, err := freeport.Find(3)
	if err != nil {
		t.Fatal(err)
	}
	for _, port := range ports {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			t.Errorf("port %d can't be listened on: %v", port, err)
			continue
		}
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLanesShareNoPort(t *testing.T) {
	ranges := map[int][2]int{}
	name, value, _ := strings.Cut(freeport.Environment(0), "=")
	t.Setenv(name, value)
	for lane := range 2 {
		if err := freeport.Shift(lane); err != nil {
			t.Fatal(err)
		}
		ports, err := freeport.Find(300)
		if err != nil {
			t.Fatal(err)
		}
		ranges[lane] = [2]int{slices.Min(ports), slices.Max(ports)}
	}
	if ranges[0][1] >= ranges[1][0] {
		t.Errorf("lane 0 has ports up to %d, and lane 1 from %d", ranges[0][1], ranges[1][0])
	}
}
