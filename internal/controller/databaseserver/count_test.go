package databaseserver

import (
	"testing"
	"time"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/fleet"
	"github.com/tenantry/tenantry/test/builders"
)

func TestAStatusWaitsWhileTheNumberOfTenantsChanges(t *testing.T) {
	with := func(tenants *int32, version string) v1alpha1.DatabaseServerStatus {
		return v1alpha1.DatabaseServerStatus{Tenants: tenants, Version: version}
	}
	for _, test := range []struct {
		name    string
		counts  []int
		was, is v1alpha1.DatabaseServerStatus
		want    bool
	}{
		{"more have come", []int{3, 5}, with(new(int32(3)), "17"), with(new(int32(5)), "17"), true},
		{"no more have come since", []int{3, 5, 5}, with(new(int32(3)), "17"), with(new(int32(5)), "17"), false},
		{"it is the first count", []int{3, 5}, with(nil, "17"), with(new(int32(5)), "17"), false},
		{"something else has changed, too", []int{3, 5}, with(new(int32(3)), "17"), with(new(int32(5)), "18"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &Reconciler{Fleet: &fleet.Fleet{}}
			server := builders.DatabaseServer("shared", "pg.example").Build()
			server.Status = test.was
			for n, count := range test.counts {
				r.Fleet.Occupancy.Counted(server.Name, count, time.Unix(int64(n)*5, 0))
			}
			if got := r.mayWait(server, test.is); got != test.want {
				t.Errorf("it may wait: %t, want %t", got, test.want)
			}
		})
	}
}
