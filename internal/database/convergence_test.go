package database_test

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/service"
)

// after returns what a server has after the action. Package postgres tests the real actions; this model makes it
// cheap to try every crash.
func after(t *testing.T, o database.Observed, action database.Action) database.Observed {
	t.Helper()
	o = clone(o)
	logins := database.Logins(o.Name)
	login := func(name string) **database.Role {
		if name == o.Name {
			return &o.Owner
		}
		if name == logins[0] {
			return &o.Logins[0]
		}
		return &o.Logins[1]
	}
	switch a := action.(type) {
	case database.Register:
		o.Registration = &service.Registration{UID: a.UID, Tenant: a.Tenant, Name: a.Name, Isolation: a.Isolation, State: service.RegistrationActive}
	case database.Adopt:
		entry := o.Registration
		if entry == nil {
			entry = o.Holder
		}
		o.Registration = &service.Registration{UID: a.UID, Tenant: a.Tenant, Name: a.Name, Isolation: entry.Isolation, State: service.RegistrationActive}
		o.Holder = nil
	case database.CreateOwner:
		o.Owner = &database.Role{ConnectionLimit: -1}
	case database.CreateLogin:
		role := &database.Role{CanLogin: a.Password != "", ConnectionLimit: a.ConnectionLimit, MemberOfOwner: true}
		if a.Password != "" {
			role.Verifier = service.Sensitive(database.Verifier(string(a.Password)))
		}
		*login(a.Login) = role
	case database.GrantOwner:
		(*login(a.Login)).MemberOfOwner = true
	case database.SetLoginRole:
		(*login(a.Login)).SetRole = a.Role
	case database.EnableLogin:
		role := *login(a.Login)
		role.CanLogin, role.ConnectionLimit = true, a.ConnectionLimit
		role.Verifier = service.Sensitive(database.Verifier(string(a.Password)))
	case database.DisableLogin:
		role := *login(a.Login)
		role.CanLogin, role.Verifier = false, ""
	case database.SuspendLogin:
		(*login(a.Login)).CanLogin = false
	case database.RestrictRole:
		(*login(a.Role)).Privileged = false
	case database.CreateDatabase:
		o.Database = &database.Database{Owner: database.PlatformOwner, ConnectionLimit: -1, PublicAccess: true}
	case database.RevokePublic:
		o.Database.PublicAccess = false
	case database.GrantDatabase:
		o.Database.OwnerAccess = true
	case database.OpenDatabase:
		o.Database.AllowConnections, o.Database.ConnectionLimit = true, a.ConnectionLimit
	case database.MarkSecured:
		if o.Database != nil {
			o.Database.Secured, o.Database.Extensions = true, nil
		}
		share(o, func(s *database.Shared) { s.Placed = true })
	case database.UnmarkSecured:
		share(o, func(s *database.Shared) { s.Placed = false })
	case database.MarkExtensions:
		o.Database.Extensions = append(o.Database.Extensions, a.Extensions...)
	case database.JoinShared:
		share(o, func(s *database.Shared) { s.Member = true })
	case database.GrantTables:
		share(o, func(s *database.Shared) { s.Manager = true })
	case database.RevokeTables:
		share(o, func(s *database.Shared) { s.Manager = false })
	case database.SetLoginSetting:
		set(*login(a.Login), a.Setting, a.Value)
	case database.ResetLoginSetting:
		delete((*login(a.Login)).Settings, a.Setting)
	case database.ResetSettings:
		for i, role := range o.Logins {
			if role != nil && database.Logins(o.Name)[i] == a.Role {
				role.SetRole, role.Settings, role.Tampered = "", nil, false
			}
		}
		if o.Owner != nil && o.Name == a.Role {
			o.Owner.Tampered = false
		}
	case database.MarkRetained:
		o.Registration.State = service.RegistrationRetained
	case database.UnsetTemplate:
		o.Database.IsTemplate = false
	case database.DropDatabase:
		o.Database = nil
	case database.DropRoles:
		o.Owner, o.Logins = nil, [2]*database.Role{}
		share(o, func(s *database.Shared) { s.Member, s.Manager = false, false })
	case database.Deregister:
		o.Registration = nil
		share(o, func(s *database.Shared) { s.Placed = false })
	case database.CheckRegistered, database.SecureSchema, database.TerminateSessions, database.CreateExtensions, database.CreateSchema,
		database.DropSchema, database.DeleteRows, database.DropOwned:
	default:
		t.Fatalf("no transition for %T", action)
	}
	return o
}

// share changes the shared database, of which the tests have one at a time.
func share(o database.Observed, change func(*database.Shared)) {
	for isolation, shared := range o.Shared {
		change(&shared)
		o.Shared[isolation] = shared
	}
}

func set(role *database.Role, setting, value string) {
	if role.Settings == nil {
		role.Settings = map[string]string{}
	}
	role.Settings[setting] = value
}

func clone(o database.Observed) database.Observed {
	o.Shared = maps.Clone(o.Shared)
	o.Registration, o.Holder, o.Owner, o.Database = cloned(o.Registration), cloned(o.Holder), cloned(o.Owner), cloned(o.Database)
	o.Logins = [2]*database.Role{cloned(o.Logins[0]), cloned(o.Logins[1])}
	return o
}

func cloned[T any](p *T) *T {
	if p == nil {
		return nil
	}
	value := *p
	if role, ok := any(&value).(*database.Role); ok {
		role.Settings = maps.Clone(role.Settings)
	}
	return &value
}

// converge plans and applies until nothing is planned, with a crash after every prefix of every plan, and checks
// that all paths end in a state that settled accepts.
func converge(t *testing.T, from database.Observed, plan func(database.Observed) ([]database.Action, error), settled func(database.Observed) bool) {
	t.Helper()
	actions, err := plan(from)
	if err != nil {
		t.Fatal(err)
	}
	if len(actions) == 0 && !settled(from) {
		t.Fatalf("nothing is planned for %+v", from)
	}
	state := from
	for _, action := range actions {
		state = after(t, state, action)
		crashed, err := plan(state)
		if err != nil {
			t.Fatalf("after %s: %v", action, err)
		}
		resumed := state
		for _, next := range crashed {
			resumed = after(t, resumed, next)
		}
		if !settled(resumed) {
			t.Fatalf("after a crash behind %q, the plan\n%sends in %+v", action, phrases(crashed), resumed)
		}
		if left, err := plan(resumed); err != nil || len(left) > 0 {
			t.Fatalf("after a crash behind %q, a second plan has\n%s(error %v)", action, phrases(left), err)
		}
	}
}

// partialStates returns all states that crashes and people can leave behind for a registered tenant.
func partialStates() map[string]database.Observed {
	states := map[string]database.Observed{
		"nothing but the registration": {Name: name, Registration: provisioned().Registration},
	}
	for label, change := range map[string]func(*database.Observed){
		"complete":         func(*database.Observed) {},
		"no owner":         func(o *database.Observed) { o.Owner = nil },
		"no active login":  func(o *database.Observed) { o.Logins[0] = nil },
		"no standby login": func(o *database.Observed) { o.Logins[1] = nil },
		"no database":      func(o *database.Observed) { o.Database = nil },
		"interrupted drop": func(o *database.Observed) { o.Database.ConnectionLimit = database.InterruptedDrop },
		"interrupted template": func(o *database.Observed) {
			o.Database.ConnectionLimit, o.Database.IsTemplate = database.InterruptedDrop, true
		},
		"template":    func(o *database.Observed) { o.Database.IsTemplate = true },
		"closed":      func(o *database.Observed) { o.Database.AllowConnections = false },
		"public":      func(o *database.Observed) { o.Database.PublicAccess = true },
		"not granted": func(o *database.Observed) { o.Database.OwnerAccess = false },
		"not secured": func(o *database.Observed) { o.Database.Secured = false },
		"just created": func(o *database.Observed) {
			*o.Database = database.Database{Owner: database.PlatformOwner, ConnectionLimit: -1, PublicAccess: true}
		},
		"privileged": func(o *database.Observed) {
			o.Owner.Privileged, o.Logins[0].Privileged, o.Logins[1].Privileged = true, true, true
		},
		"not a member": func(o *database.Observed) { o.Logins[0].MemberOfOwner, o.Logins[1].MemberOfOwner = false, false },
		"no set role":  func(o *database.Observed) { o.Logins[0].SetRole, o.Logins[1].SetRole = "", "postgres" },
		"tampered with": func(o *database.Observed) {
			o.Owner.Tampered = true
			o.Logins[0].Tampered, o.Logins[0].SetRole = true, ""
		},
		"disabled":   func(o *database.Observed) { o.Logins[0].CanLogin, o.Logins[0].Verifier = false, "" },
		"all log in": func(o *database.Observed) { o.Owner.CanLogin, o.Logins[1].CanLogin = true, true },
		"retained":   func(o *database.Observed) { o.Registration.State = service.RegistrationRetained },
	} {
		states[label] = provisioned(change)
	}
	return states
}

func TestPlanConvergesFromEveryPartialState(t *testing.T) {
	plan := func(o database.Observed) ([]database.Action, error) { return database.Plan(desired(), o) }
	settled := func(o database.Observed) bool {
		if o.Database == nil || o.Logins[0] == nil || !database.Matches(string(o.Logins[0].Verifier), password) {
			return false
		}
		want := provisioned()
		o = clone(o)
		want.Logins[0].Verifier, o.Logins[0].Verifier = "", ""
		want.Logins[1].ConnectionLimit = o.Logins[1].ConnectionLimit
		want.Database.IsTemplate = o.Database.IsTemplate
		return reflect.DeepEqual(want, o)
	}
	states := partialStates()
	states["nothing"] = database.Observed{Name: name}
	for label, state := range states {
		t.Run(label, func(t *testing.T) { converge(t, state, plan, settled) })
	}
	t.Run("adoption", func(t *testing.T) {
		adopt := func(o database.Observed) ([]database.Action, error) { return database.Plan(desired(adopting), o) }
		converge(t, retainedByAnother(), adopt, settled)
	})
}

func TestRemovalConvergesFromEveryPartialState(t *testing.T) {
	gone := func(o database.Observed) bool { return reflect.DeepEqual(o, database.Observed{Name: name}) }
	retained := func(o database.Observed) bool {
		return o.Database != nil && o.Registration.State == service.RegistrationRetained
	}
	for label, state := range partialStates() {
		t.Run(label, func(t *testing.T) {
			converge(t, state, func(o database.Observed) ([]database.Action, error) {
				return database.PlanRemoval(o, database.ReclaimDelete)
			}, gone)
			converge(t, state, func(o database.Observed) ([]database.Action, error) {
				return database.PlanRemoval(o, database.ReclaimRetain)
			}, func(o database.Observed) bool { return gone(o) || retained(o) })
		})
	}
}

// sharing returns what the server has for a provisioned tenant that shares a database.
func sharing(isolation database.Isolation, changes ...func(*database.Observed)) database.Observed {
	o := provisioned(func(o *database.Observed) {
		o.Registration.Isolation, o.Database = isolation, nil
		o.Shared = map[database.Isolation]database.Shared{
			isolation: {Ready: true, Member: true, Placed: isolation == database.IsolationSchema},
		}
	})
	for _, change := range changes {
		change(&o)
	}
	return o
}

// partialSharing returns the states that crashes and people can leave behind for a tenant that shares a database.
func partialSharing(isolation database.Isolation) map[string]database.Observed {
	states := map[string]database.Observed{}
	for label, change := range map[string]func(*database.Observed){
		"complete":                     func(*database.Observed) {},
		"nothing but the registration": func(o *database.Observed) { o.Owner, o.Logins = nil, [2]*database.Role{}; share(*o, alone) },
		"no owner":                     func(o *database.Observed) { o.Owner = nil; share(*o, alone) },
		"no active login":              func(o *database.Observed) { o.Logins[0] = nil },
		"not a member":                 func(o *database.Observed) { share(*o, alone); o.Logins[0].MemberOfOwner = false },
		"not placed":                   func(o *database.Observed) { share(*o, func(s *database.Shared) { s.Placed = false }) },
		"a manager":                    func(o *database.Observed) { share(*o, func(s *database.Shared) { s.Manager, s.Placed = true, true }) },
		"a manager of before":          func(o *database.Observed) { share(*o, func(s *database.Shared) { s.Placed = true }) },
		"with settings":                func(o *database.Observed) { set(o.Logins[0], "temp_file_limit", "1kB") },
		"retained":                     func(o *database.Observed) { o.Registration.State = service.RegistrationRetained },
	} {
		states[label] = sharing(isolation, change)
	}
	if isolation == database.IsolationSchema {
		delete(states, "a manager")
	}
	return states
}

// alone makes it the shared database after somebody has dropped the roles.
func alone(s *database.Shared) { *s = database.Shared{Ready: true} }

func TestSharingConvergesFromEveryPartialState(t *testing.T) {
	for _, isolation := range []database.Isolation{database.IsolationSchema, database.IsolationRow} {
		for label, state := range partialSharing(isolation) {
			for _, manages := range []bool{false, true} {
				if manages && isolation == database.IsolationSchema {
					continue
				}
				t.Run(string(isolation)+"/"+label, func(t *testing.T) {
					wanted := desired(func(d *database.Desired) {
						d.Isolation, d.ManagesTables, d.TempFileLimit = isolation, manages, new(int64(1<<20))
					})
					converge(t, state, func(o database.Observed) ([]database.Action, error) { return database.Plan(wanted, o) },
						func(o database.Observed) bool { return settledSharing(o, isolation, manages) })
				})
			}
		}
	}
}

func settledSharing(o database.Observed, isolation database.Isolation, manages bool) bool {
	for _, role := range o.Logins {
		if role == nil || !role.MemberOfOwner || role.Settings["temp_file_limit"] != "1024kB" || (role.SetRole == database.TablesOwner) != manages {
			return false
		}
	}
	want := database.Shared{Ready: true, Member: true, Manager: manages, Placed: manages || isolation == database.IsolationSchema}
	return o.Owner != nil && database.Matches(string(o.Logins[0].Verifier), password) && o.Shared[isolation] == want &&
		o.Registration.State == service.RegistrationActive && o.Database == nil
}

func TestRemovalFromSharingConvergesFromEveryPartialState(t *testing.T) {
	for _, isolation := range []database.Isolation{database.IsolationSchema, database.IsolationRow} {
		gone := func(o database.Observed) bool {
			return o.Registration == nil && o.Owner == nil && o.Logins == [2]*database.Role{} && o.Shared[isolation] == database.Shared{Ready: true}
		}
		retained := func(o database.Observed) bool { return o.Registration.State == service.RegistrationRetained }
		for label, state := range partialSharing(isolation) {
			t.Run(string(isolation)+"/"+label, func(t *testing.T) {
				converge(t, state, func(o database.Observed) ([]database.Action, error) {
					return database.PlanRemoval(o, database.ReclaimDelete)
				}, gone)
				converge(t, state, func(o database.Observed) ([]database.Action, error) {
					return database.PlanRemoval(o, database.ReclaimRetain)
				}, func(o database.Observed) bool { return gone(o) || retained(o) })
			})
		}
	}
}

func TestTenantCodeRunsOnlyWhenItsSessionsAreGone(t *testing.T) {
	for _, isolation := range []database.Isolation{database.IsolationSchema, database.IsolationRow} {
		actions, err := database.PlanRemoval(sharing(isolation), database.ReclaimDelete)
		if err != nil {
			t.Fatal(err)
		}
		lockout := []database.Action{check, database.DisableLogin{Login: logins[0]}, database.TerminateSessions{Logins: logins}}
		if len(actions) <= len(lockout) || !slices.Equal(actions[:len(lockout)], lockout) {
			t.Errorf("isolation %s: the tenant isn't locked out first:\n%s", isolation, phrases(actions))
		}
	}
}
