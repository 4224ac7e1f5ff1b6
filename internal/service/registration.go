package service

import (
	"fmt"
	"strings"
)

// Isolation is how tenants are kept apart on a server. Which there are, the engine says.
type Isolation string

// RegistrationState says whether a registered name is in use.
type RegistrationState string

// The states of a registration.
const (
	// RegistrationActive means that the tenant uses it.
	RegistrationActive RegistrationState = "Active"
	// RegistrationRetained means that its tenant was deleted, and its data was kept.
	RegistrationRetained RegistrationState = "Retained"
)

// Registration is an entry of a server's registry: whom a name was made for.
type Registration struct {
	// UID is the UID of the Tenant.
	UID string
	// Tenant is the name of the Tenant.
	Tenant string
	// Name is the name that stands for the tenant's things on the server.
	Name string
	// Isolation is what was made.
	Isolation Isolation
	// State says whether it is in use.
	State RegistrationState
}

// Claim is what a tenant wants of a server's registry.
type Claim struct {
	// Engine is what the server runs.
	Engine Engine
	// Isolation is how the tenant is to be kept apart from others.
	Isolation Isolation
	// Adopt is the name of what a former tenant has left, to be taken over; empty means something new.
	Adopt string
	// Restored is the name of the tenant if it was restored from a backup: an entry that is in use may then still
	// be that of a Tenant of this name, which is no more. Otherwise it is empty.
	Restored string
	// Alone says that the server is the tenant's own. An entry of another tenant that is in use there is that of
	// a backup, taken while its tenant was there.
	Alone bool
}

// Entries are what a server has of the name that a tenant claims.
type Entries struct {
	// Name is the name.
	Name string
	// Own is the entry of the tenant; nil if there is none.
	Own *Registration
	// Holder is the entry that has the name for another tenant; nil if there is none.
	Holder *Registration
	// Unregistered are the things of that name that the server has, as in "role t_x", whether or not the
	// registry has an entry for them.
	Unregistered []string
	// HasData reports whether there is anything of that name that a tenant may have put data into.
	HasData bool
}

// Step is what a claim leads to.
type Step string

const (
	// StepNone means that the entry is the tenant's already.
	StepNone Step = ""
	// StepRegister means that the name is to be entered for the tenant.
	StepRegister Step = "Register"
	// StepAdopt means that an entry is to be moved to the tenant.
	StepAdopt Step = "Adopt"
)

// Settle returns what a claim leads to and, for [StepAdopt], the entry that is to be moved. It fails with a
// [ConflictError], [AdoptNotFoundError] or [AdoptInUseError].
func (c Claim) Settle(e Entries) (step Step, from *Registration, err error) {
	own, noun := e.Own, c.Engine.Noun
	switch {
	case own == nil && c.Adopt == "":
		return StepRegister, nil, c.checkConflict(e)
	case own == nil:
		return StepAdopt, e.Holder, c.adoptable(e)
	case c.Adopt != "" && own.Name != c.Adopt:
		return StepNone, nil, &ConflictError{fmt.Sprintf("the tenant already has %s %s, so it can't adopt %s; leave %s.adopt out, or delete the tenant and create it anew with it",
			noun, own.Name, c.Adopt, c.Engine.Field)}
	case own.Isolation != c.Isolation:
		return StepNone, nil, &ConflictError{fmt.Sprintf("%s %s was made with isolation %s, which can't be changed to %s; delete the tenant and create it anew",
			noun, own.Name, own.Isolation, c.Isolation)}
	case own.State == RegistrationActive:
		return StepNone, nil, nil
	}
	return StepAdopt, own, nil
}

// checkConflict returns a ConflictError if the server has anything of a name that isn't registered for
// the tenant.
func (c Claim) checkConflict(e Entries) error {
	if e.Holder != nil {
		return &ConflictError{fmt.Sprintf("the name %s is registered on the server for tenant %s with UID %s; to take over a retained %s, name it in %s.adopt",
			e.Name, e.Holder.Tenant, e.Holder.UID, c.Engine.Noun, c.Engine.Field)}
	}
	if len(e.Unregistered) == 0 {
		return nil
	}
	return &ConflictError{fmt.Sprintf("the server already has %s, not made for this tenant; rename or drop it", strings.Join(e.Unregistered, " and "))}
}

// adoptable returns why the tenant can't take over what the holder has; nil if it can.
func (c Claim) adoptable(e Entries) error {
	switch {
	case e.Holder == nil:
		return &AdoptNotFoundError{Engine: c.Engine, Name: c.Adopt}
	case e.Holder.State != RegistrationRetained && !c.Alone && e.Holder.Tenant != c.Restored:
		return &AdoptInUseError{Engine: c.Engine, Name: c.Adopt, Tenant: e.Holder.Tenant}
	case e.Holder.Isolation != c.Isolation:
		return &ConflictError{fmt.Sprintf("%s %s was made with isolation %s; adopt it with that", c.Engine.Noun, c.Adopt, e.Holder.Isolation)}
	case !e.HasData:
		return &AdoptNotFoundError{Engine: c.Engine, Name: c.Adopt}
	}
	return nil
}
