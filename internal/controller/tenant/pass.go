package tenant

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tenantry/tenantry/internal/effective"
	"github.com/tenantry/tenantry/internal/membership"
	"github.com/tenantry/tenantry/internal/parts"
	"github.com/tenantry/tenantry/internal/problem"
)

// pass is what the phases of one reconcile of a tenant share.
type pass struct {
	findings
	inputs  parts.Inputs
	members membership.Members
	// quotas are the tenant's ResourceQuotas by namespace, as they were when the pass began.
	quotas map[string]*corev1.ResourceQuota
	// needs is what the operator's own objects use of the quota, in all namespaces.
	needs corev1.ResourceList
	// sleep is what is known of its hibernation.
	sleep sleep
	// unfit is why the app's settings can't be used; nil if they can.
	unfit error
	// quotaBusy says that a quota could not be changed because it had just admitted something.
	quotaBusy bool

	// class, network and database are the phases that load something before the first phase runs.
	class    classPhase
	network  networkPhase
	database databasePhase
}

func (p *pass) tenant() *effective.Tenant { return p.inputs.Tenant }

// strays returns the namespaces in which the tenant has objects but should have none any more.
func (p *pass) strays() []string {
	strays := sets.New[string]()
	for namespace := range p.quotas {
		strays.Insert(namespace)
	}
	for _, member := range p.members.All {
		strays.Delete(member.Name)
	}
	for _, namespace := range p.members.Leaving {
		strays.Insert(namespace.Name)
	}
	return sets.List(strays)
}

// load reads everything that the tenant's objects depend on, and generates a password if there is none.
func (r *Reconciler) load(ctx context.Context, tenant *effective.Tenant) (*pass, error) {
	tenant, release, err := r.release(ctx, tenant)
	if err != nil {
		return nil, err
	}
	run := &pass{
		inputs: parts.Inputs{Tenant: tenant, Release: release, DNS: r.DNS.rules(), Audit: r.Audit},
		findings: findings{
			problems: map[string]problem.Problem{}, rounds: r.retries.Rounds(tenant.Name), withheld: sets.New[string](),
		},
	}
	run.database = databasePhase{
		servers: r.servers(), in: &run.inputs, now: time.Now().Truncate(time.Second), recorded: r.servers().databaseOf(tenant),
	}
	run.class = r.newClassPhase(&run.inputs)
	if run.members, err = r.members(ctx, tenant); err != nil {
		return nil, err
	}
	run.inputs.Places = placesOf(run.members)
	if tenant.Spec.Namespaces.Limit > 1 || len(run.members.All) > 1 {
		run.inputs.Listing = run.members.List()
	}
	if err := run.class.load(ctx); err != nil { // The quota needs to know the copies.
		return nil, err
	}
	if err := errors.Join(r.loadHostnames(ctx, run), r.loadOwners(ctx, run), r.loadEntrance(ctx, run), r.divide(ctx, run), r.loadApp(ctx, run),
		r.loadSettings(ctx, run), r.loadSleep(ctx, run)); err != nil {
		return nil, err
	}
	run.database.asleep, run.database.appEnded = run.inputs.Asleep, run.sleep.ended
	return run, run.database.load(ctx)
}
