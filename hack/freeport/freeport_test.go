package freeport_test

import (
	"net"
	"slices"
	"strconv"
	"testing"

	"github.com/tenantry/tenantry/hack/freeport"
)

func TestPortsDiffer(t *testing.T) {
	const count = 500 // Of so many, some would be the same if each were found by itself.
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
