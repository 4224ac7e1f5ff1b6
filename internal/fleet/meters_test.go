package fleet

import (
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/internal/database"
)

// metering is a test of the meter of the tenant acme, which begins at noon.
type metering struct {
	Fleet
	was *corev1.ResourceQuota
}

func newMetering() *metering {
	m := &metering{was: &corev1.ResourceQuota{}}
	m.SawTenant("acme", "acme")
	return m
}

func secondsAfterNoon(seconds float64) time.Time {
	return noon.Add(time.Duration(seconds * float64(time.Second)))
}

// count has the tenant's quota count what pairs of resources and amounts say.
func (m *metering) count(at float64, pairs ...string) {
	is := quotaOf("acme", "quota", "1")
	for i := 0; i < len(pairs); i += 2 {
		is.Status.Used[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	m.Meters.Note(m.was, is, secondsAfterNoon(at))
	m.was = is
}

func (m *metering) class(at float64, name string) {
	m.SawPlace("acme", "acme", Place{Class: name, Server: "shared"}, secondsAfterNoon(at))
}

func (m *metering) size(at float64, server string, bytes *int64) {
	m.Measured(server, []database.Use{{Tenant: "acme", UID: "acme", Bytes: bytes}}, nil, secondsAfterNoon(at))
}

// sums returns the sums that are known.
func (m *metering) sums(at float64) map[Metering]float64 {
	found := map[Metering]float64{}
	reading, _ := m.Meters.Read("acme", secondsAfterNoon(at))
	for i, sum := range reading.Sums {
		if sum.Known {
			found[Metering(i)] = sum.Value
		}
	}
	return found
}

func TestWhatATenantUsesIsSummedUpOverTime(t *testing.T) {
	for _, test := range []struct {
		name string
		act  func(*metering)
		// want are the sums 100 seconds after noon.
		want map[Metering]float64
	}{
		{"a constant use", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "requests.cpu", "500m", "requests.memory", "1Ki", "requests.storage", "10")
		}, map[Metering]float64{RequestedCores: 50, RequestedMemory: 102400, Storage: 1000}},
		{"nothing in use", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "requests.cpu", "0")
		}, map[Metering]float64{RequestedCores: 0}},
		{"the short names of a quota", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "cpu", "2", "memory", "3")
		}, map[Metering]float64{RequestedCores: 200, RequestedMemory: 300}},
		{"both names of the same count", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "cpu", "2", "requests.cpu", "2")
		}, map[Metering]float64{RequestedCores: 200}},
		{"a quota that counts none of it", func(m *metering) { m.class(0, ""); m.count(0) }, map[Metering]float64{}},
		{"no quota and no database", func(m *metering) { m.class(0, "") }, map[Metering]float64{}},
		{"a change in between, whether or not somebody reads", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "requests.cpu", "1")
			m.sums(25)
			m.count(40, "requests.cpu", "3")
			m.sums(50)
			m.count(90, "requests.cpu", "0")
		}, map[Metering]float64{RequestedCores: 40 + 150}},
		{"a quota that is known before the class, as after a restart", func(m *metering) {
			m.count(0, "requests.cpu", "1")
			m.class(60, "gold")
		}, map[Metering]float64{RequestedCores: 100}},
		{"a class that is noted again", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "requests.cpu", "1")
			m.class(60, "gold")
		}, map[Metering]float64{RequestedCores: 100}},
		{"another class", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "requests.cpu", "1")
			m.class(60, "silver")
		}, map[Metering]float64{RequestedCores: 40}},
		{"two namespaces", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "requests.cpu", "1")
			second := quotaOf("acme", "second", "1")
			second.Status.Used = corev1.ResourceList{"requests.cpu": resource.MustParse("2")}
			m.Meters.Note(&corev1.ResourceQuota{}, second, secondsAfterNoon(10))
			m.Meters.ForgetQuota(second, secondsAfterNoon(20))
		}, map[Metering]float64{RequestedCores: 100 + 20}},
		{"a quota that becomes another tenant's", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "requests.cpu", "1")
			m.Meters.Note(m.was, quotaOf("globex", "quota", "1"), secondsAfterNoon(30))
		}, map[Metering]float64{RequestedCores: 30}},
		{"an entry that the quota no longer has", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "requests.cpu", "1")
			m.count(30)
		}, map[Metering]float64{RequestedCores: 30}},
		{"a database that grows", func(m *metering) {
			m.class(0, "gold")
			m.size(0, "shared", new(int64(10)))
			m.size(60, "shared", new(int64(20)))
		}, map[Metering]float64{DatabaseSize: 600 + 800}},
		{"a database that two DatabaseServers have, which are one server", func(m *metering) {
			m.class(0, "gold")
			m.size(0, "shared", new(int64(10)))
			m.size(0, "alias", new(int64(10)))
		}, map[Metering]float64{DatabaseSize: 1000}},
		{"a server that doesn't answer", func(m *metering) {
			m.class(0, "gold")
			m.size(0, "shared", new(int64(10)))
			m.Measured("shared", nil, errors.New("no answer"), secondsAfterNoon(60))
		}, map[Metering]float64{DatabaseSize: 1000}},
		{"a database that is gone", func(m *metering) {
			m.class(0, "gold")
			m.size(0, "shared", new(int64(10)))
			m.Measured("shared", nil, nil, secondsAfterNoon(60))
		}, map[Metering]float64{DatabaseSize: 600}},
		{"a size that is no longer known", func(m *metering) {
			m.class(0, "gold")
			m.size(0, "shared", new(int64(10)))
			m.size(60, "shared", nil)
		}, map[Metering]float64{DatabaseSize: 600}},
		{"a server that is gone", func(m *metering) {
			m.class(0, "gold")
			m.size(0, "shared", new(int64(10)))
			m.sums(60)
			m.ForgetServer("shared")
		}, map[Metering]float64{DatabaseSize: 600}},
		{"a database of the isolation Row", func(m *metering) { m.class(0, "gold"); m.size(0, "shared", nil) }, map[Metering]float64{}},
		{"another tenant of the same name", func(m *metering) {
			m.class(0, "gold")
			m.count(0, "requests.cpu", "1")
			m.SawTenant("acme", "acme-2")
		}, map[Metering]float64{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMetering()
			test.act(m)
			got := m.sums(100)
			if len(got) != len(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			for sum, want := range test.want {
				if difference := got[sum] - want; difference > 1e-6 || difference < -1e-6 {
					t.Errorf("%v is %v, want %v", sum, got[sum], want)
				}
			}
		})
	}
}

// TestASumNeverFalls has times that come late, since who notes something has looked at the clock before: Prometheus
// would count all of a sum again that falls.
func TestASumNeverFalls(t *testing.T) {
	m := newMetering()
	m.class(0, "gold")
	m.count(0, "requests.cpu", "1")
	if got := m.sums(10)[RequestedCores]; got != 10 {
		t.Fatalf("it is %v", got)
	}
	m.count(9, "requests.cpu", "0")
	if got := m.sums(20)[RequestedCores]; got != 10 {
		t.Errorf("it is %v, want 10", got)
	}
	if got := m.sums(5)[RequestedCores]; got != 10 {
		t.Errorf("it is %v, want 10", got)
	}
}

func TestTheSumsSayWhenTheyBegan(t *testing.T) {
	m := newMetering()
	m.count(3, "requests.cpu", "1")
	if _, known := m.Meters.Read("acme", noon); known {
		t.Error("it has sums before the class is known")
	}
	m.class(5, "gold")
	if reading, _ := m.Meters.Read("acme", secondsAfterNoon(6)); !reading.Since.Equal(secondsAfterNoon(3)) || reading.Class != "gold" {
		t.Errorf("it reads %v", reading)
	}
	m.class(8, "silver")
	if reading, _ := m.Meters.Read("acme", secondsAfterNoon(9)); !reading.Since.Equal(secondsAfterNoon(8)) || reading.Class != "silver" {
		t.Errorf("it reads %v", reading)
	}
}

// TestAQuotaThatOutlivesItsTenantLeavesNothing has the quota counted once more after the tenant is forgotten.
func TestAQuotaThatOutlivesItsTenantLeavesNothing(t *testing.T) {
	m := newMetering()
	m.class(0, "gold")
	m.count(0, "requests.cpu", "1")
	m.ForgetTenant("acme")
	m.count(10, "requests.cpu", "0")
	m.class(10, "gold")
	if _, known := m.Meters.Read("acme", secondsAfterNoon(20)); known {
		t.Error("a tenant that is gone has sums")
	}
	m.Meters.ForgetQuota(m.was, secondsAfterNoon(20))
	if left := len(m.Meters.tenants); left != 0 {
		t.Errorf("%d meters are left", left)
	}
	m.Meters.ForgetQuota(quotaOf(types.UID("nobody"), "quota", "1"), noon)
}
