package fleet

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
	"github.com/tenantry/tenantry/test/builders"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// fillers note something about a tenant and a server in each ledger, by the name of its field.
var fillers = map[string]func(f *Fleet, tenant, server string){
	"Logins":      func(f *Fleet, _, server string) { f.Logins.Put(serverNamed(server), database.Server{}) },
	"Connections": func(f *Fleet, _, server string) { f.Connections.Put(serverNamed(server), database.Server{}) },
	"Authorities": func(f *Fleet, _, server string) { f.Authorities.Put(server, "1", &corev1.Secret{}) },
	"Occupancy": func(f *Fleet, tenant, server string) {
		f.Occupancy.Counted(server, 1, noon)
		f.Occupancy.Expect(server, types.UID(tenant))
		f.Occupancy.Refuse(server+"-full", types.UID(tenant), 1)
	},
	"Inspections": func(f *Fleet, tenant, server string) {
		f.SortDrifts(server, []service.Drift{{Tenant: tenant, UID: tenant, Digest: "1"}})
	},
	"Placements": func(f *Fleet, tenant, server string) {
		f.Placements.Put(types.UID(tenant), &v1alpha1.TenantDatabaseStatus{Server: server})
	},
	"Admissions": func(f *Fleet, tenant, _ string) {
		f.Admissions.Note(&corev1.ResourceQuota{}, quotaOf(types.UID(tenant), "quota", "1"), noon)
	},
	"Classes": func(f *Fleet, tenant, _ string) {
		f.Classes.Note(types.UID(tenant), ClassMember{Class: "gold-" + tenant, Revisions: []string{"gold-1-" + tenant}})
	},
	"Departures": func(f *Fleet, _, server string) { f.Departures.Looked(server, 0) },
	"Endings": func(f *Fleet, tenant, server string) {
		f.Endings.NamespaceClosed(types.UID(tenant), "namespace")
		f.Endings.LockedOut(types.UID(tenant), server)
	},
	"Meters": func(f *Fleet, tenant, _ string) {
		f.Meters.Note(&corev1.ResourceQuota{}, quotaOf(types.UID(tenant), "quota", "1"), noon)
	},
	"Pace": func(f *Fleet, tenant, _ string) {
		f.UsageChanged(tenant, types.UID(tenant), noon)
		f.Pace.Wait(types.UID(tenant), pending, rolling, noon)
	},
	"Provisioning": func(f *Fleet, tenant, _ string) { f.Provisioning.Begin(tenant, types.UID(tenant)) },
	"Served":       func(f *Fleet, tenant, _ string) { f.Served.Has(types.UID(tenant), "replicaset", noon, true) },
	"Troubles": func(f *Fleet, tenant, server string) {
		f.Troubles.Tenant(types.UID(tenant), true, noon)
		f.Troubles.Server(server, true, noon)
	},
	"Uses": func(f *Fleet, tenant, server string) {
		f.Measured(server, []database.Use{{Tenant: tenant, UID: tenant, Connections: 1}}, nil, noon)
	},
}

func serverNamed(name string) *v1alpha1.DatabaseServer {
	return builders.DatabaseServer(name, "pg.example").Build()
}

// fill notes something about a tenant and a server in all ledgers.
func fill(f *Fleet, tenant, server string) {
	f.SawTenant(tenant, types.UID(tenant))
	f.SawServer(server, types.UID(server))
	for _, note := range fillers {
		note(f, tenant, server)
	}
}

// size returns the number of map entries in a value, at all levels.
func size(value reflect.Value) int {
	total := 0
	switch value.Kind() {
	case reflect.Map:
		for _, key := range value.MapKeys() {
			total += 1 + size(value.MapIndex(key))
		}
	case reflect.Pointer:
		if !value.IsNil() {
			total += size(value.Elem())
		}
	case reflect.Struct:
		for _, field := range value.Fields() {
			total += size(field)
		}
	default:
	}
	return total
}

func sizes(f *Fleet) map[string]int {
	result := map[string]int{}
	for field, value := range reflect.ValueOf(f).Elem().Fields() {
		result[field.Name] = size(value)
	}
	return result
}

func TestEachFieldIsALedgerThatIsForgotten(t *testing.T) {
	f := &Fleet{}
	forgotten := map[any]bool{}
	for _, ledger := range f.ledgers() {
		forgotten[ledger] = true
	}
	for field, value := range reflect.ValueOf(f).Elem().Fields() {
		if field.Type == reflect.TypeFor[roster]() || field.Type == reflect.TypeFor[Notices]() {
			continue // These are emptied by name, and by being taken.
		}
		if !forgotten[value.Addr().Interface()] {
			t.Errorf("%s is not among the ledgers", field.Name)
		}
		if fillers[field.Name] == nil {
			t.Errorf("there is nothing to fill %s with", field.Name)
		}
	}
}

func TestNothingIsKeptOfATenantAndAServerThatAreGone(t *testing.T) {
	for _, test := range []struct {
		name string
		act  func(*Fleet)
		// seen are the numbers of other tenants and servers.
		seen int
	}{
		{"they are deleted", func(f *Fleet) {
			f.ForgetTenant("acme")
			f.ForgetServer("shared")
		}, 0},
		{"the server is deleted first", func(f *Fleet) {
			f.ForgetServer("shared")
			f.ForgetTenant("acme")
		}, 0},
		{"a tenant that is being worked on goes on about a server that is gone", func(f *Fleet) {
			f.ForgetServer("shared")
			f.Occupancy.Expect("shared", "acme")
			f.Occupancy.Registered("shared", "acme", noon)
			f.Occupancy.Refuse("shared", "acme", 7)
			f.Occupancy.Refuses("elsewhere", "acme")
			f.ForgetTenant("acme")
		}, 0},
		{"the cluster and a server tell of a tenant that is gone", func(f *Fleet) {
			f.ForgetTenant("acme")
			f.UsageChanged("acme", "acme", noon)
			f.SawPlace("acme", "acme", Place{Class: "gold", Server: "shared"}, noon)
			f.SortDrifts("shared", []service.Drift{{Tenant: "acme", UID: "acme", Digest: "2"}})
			f.Measured("shared", []database.Use{{Tenant: "acme", UID: "acme"}}, nil, noon)
			f.ForgetServer("shared")
		}, 0},
		{"others of the same names have taken their place", func(f *Fleet) {
			f.SawTenant("acme", "acme-2")
			f.SawServer("shared", "shared-2")
			f.UsageChanged("acme", "acme", noon)
		}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, others := &Fleet{}, &Fleet{}
			fill(others, "globex", "other")
			fill(f, "globex", "other")
			fill(f, "acme", "shared")
			want := sizes(others)
			want["tenants"] += test.seen
			want["servers"] += test.seen
			for name, is := range sizes(f) {
				if _, isLedger := fillers[name]; isLedger && is <= want[name] {
					t.Fatalf("%s knows nothing of them to begin with", name)
				}
			}
			test.act(f)
			for name, is := range sizes(f) {
				if is != want[name] {
					t.Errorf("%s has %d entries, want %d", name, is, want[name])
				}
			}
		})
	}
}

func TestATenantThatIsSeenAgainIsNotForgotten(t *testing.T) {
	f := &Fleet{}
	fill(f, "acme", "shared")
	before := sizes(f)
	f.SawTenant("acme", "acme")
	f.SawServer("shared", "shared")
	if after := sizes(f); !reflect.DeepEqual(after, before) {
		t.Errorf("it remembers %v, and before that %v", after, before)
	}
}

func TestAServerTellsAgainOfATenantThatWasNotSeenYet(t *testing.T) {
	f := &Fleet{}
	drifts := []service.Drift{{Tenant: "acme", UID: "acme", Digest: "1"}}
	if accepted, suspicious := f.SortDrifts("shared", drifts); len(accepted)+len(suspicious) > 0 {
		t.Errorf("before the tenant was seen, %v is accepted and %v suspicious", accepted, suspicious)
	}
	f.SawTenant("acme", "acme")
	if _, suspicious := f.SortDrifts("shared", drifts); len(suspicious) != 1 {
		t.Error("the tenant is not inspected")
	}
}
