package service_test

import (
	"testing"

	"github.com/tenantry/tenantry/internal/service"
)

// entry returns the registration of a name for a tenant, or for its backup.
func entry(tenant string, state service.RegistrationState, isolation service.Isolation) *service.Registration {
	return &service.Registration{UID: "uid-" + tenant, Tenant: tenant, Name: "t_x", Isolation: isolation, State: state}
}

func TestWhatAClaimLeadsTo(t *testing.T) {
	const active, retained = service.RegistrationActive, service.RegistrationRetained
	fresh, adopting := service.Claim{Engine: engine, Isolation: "Database"}, service.Claim{Engine: engine, Isolation: "Database", Adopt: "t_x"}
	alone := service.Claim{Engine: engine, Isolation: "Dedicated", Adopt: "t_x", Alone: true}
	for _, test := range []struct {
		name    string
		claim   service.Claim
		entries service.Entries
		step    service.Step
		from    string
		err     string
	}{
		{"nothing there", fresh, service.Entries{}, service.StepRegister, "", ""},
		{"its own entry", fresh, service.Entries{Own: entry("acme", active, "Database"), Unregistered: []string{"role t_x"}}, service.StepNone, "", ""},
		{"its own entry, retained", fresh, service.Entries{Own: entry("acme", retained, "Database")}, service.StepAdopt, "uid-acme", ""},
		{"what another has left", adopting, service.Entries{Holder: entry("former", retained, "Database"), HasData: true}, service.StepAdopt, "uid-former", ""},
		{"a backup on its own server", alone, service.Entries{Holder: entry("former", active, "Dedicated"), HasData: true}, service.StepAdopt, "uid-former", ""},
		{
			"the entry of another", fresh, service.Entries{Holder: entry("former", retained, "Database")}, service.StepNone, "",
			"the name t_x is registered on the server for tenant former with UID uid-former; to take over a retained database, name it in spec.database.adopt",
		},
		{
			"things without an entry", fresh, service.Entries{Unregistered: []string{"database t_x", "role t_x"}}, service.StepNone, "",
			"the server already has database t_x and role t_x, not made for this tenant; rename or drop it",
		},
		{
			"something else than it has", service.Claim{Engine: engine, Isolation: "Database", Adopt: "t_y"},
			service.Entries{Own: entry("acme", active, "Database")}, service.StepNone, "",
			"the tenant already has database t_x, so it can't adopt t_y; leave spec.database.adopt out, or delete the tenant and create it anew with it",
		},
		{
			"another isolation than it has", fresh, service.Entries{Own: entry("acme", active, "Row")}, service.StepNone, "",
			"database t_x was made with isolation Row, which can't be changed to Database; delete the tenant and create it anew",
		},
		{
			"what nobody has left", adopting, service.Entries{}, service.StepNone, "",
			"there is no retained database t_x to adopt on the server; set spec.database.adopt to one that status.retained of the DatabaseServer lists, or leave it out to get a new database",
		},
		{
			"what another uses", adopting, service.Entries{Holder: entry("globex", active, "Database"), HasData: true}, service.StepNone, "",
			"database t_x can't be adopted while tenant globex uses it; delete that tenant with reclaimPolicy Retain first, or adopt another database",
		},
		{
			"what was made with another isolation", adopting, service.Entries{Holder: entry("former", retained, "Row"), HasData: true}, service.StepNone, "",
			"database t_x was made with isolation Row; adopt it with that",
		},
		{
			"what has no data", adopting, service.Entries{Holder: entry("former", retained, "Database")}, service.StepNone, "",
			"there is no retained database t_x to adopt on the server; set spec.database.adopt to one that status.retained of the DatabaseServer lists, or leave it out to get a new database",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.entries.Name = "t_x"
			step, from, err := test.claim.Settle(test.entries)
			if test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			uid := ""
			if from != nil {
				uid = from.UID
			}
			if err != nil || step != test.step || uid != test.from {
				t.Errorf("got %q from %q and %v, want %q from %q", step, uid, err, test.step, test.from)
			}
		})
	}
}
