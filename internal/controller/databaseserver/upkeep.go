package databaseserver

import (
	"context"
	"errors"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tenantry/tenantry/api/v1alpha1"
	"github.com/tenantry/tenantry/internal/database"
	"github.com/tenantry/tenantry/internal/problem"
	"github.com/tenantry/tenantry/internal/status"
)

// maintain does what a server that answers needs, whether or not its tenants notice, and says in its status what
// of that fails. What fails is tried again after each probe.
func (r *Reconciler) maintain(ctx context.Context, server *v1alpha1.DatabaseServer, access database.Server, found status.ServerObservation) error {
	var failures []problem.Problem
	for _, duty := range []struct {
		what string
		err  error
	}{
		{"look at the databases that tenants share, and prepare them", found.Unshared},
		{"keep the login for the time when its Secret is gone", r.keepLogin(ctx, server, access)},
		{"make the server reload its certificate", r.reload(ctx, server, access, found.Answer.Certificate)},
		{"note which tenants are as they should be", r.inspectDrifted(ctx, access, found.Answer.Drifted)},
		{"lock out the tenants that no longer exist", r.retainAbandoned(ctx, access)},
		{"measure how much its tenants use", r.measure(ctx, access, found.Now)},
	} {
		if duty.err != nil {
			ctrl.LoggerFrom(ctx).Info("Can't "+duty.what+"; it is tried again", "server", server.Name, "error", duty.err.Error())
			failures = append(failures, problem.Upkeep(duty.what, duty.err))
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return nil // The operator ends, which is what has failed.
	}
	return r.writeStatus(ctx, server, status.WithUpkeep(server, failures, found.Now))
}

// measure notes how much the tenants of a server use, if it is time to. It returns why the last measurement failed.
func (r *Reconciler) measure(ctx context.Context, access database.Server, now time.Time) error {
	due, err := r.Fleet.Uses.Due(access.Name, now)
	if !due {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	uses, err := r.Databases.Uses(ctx, access)
	r.Fleet.Measured(access.Name, uses, err, now)
	return err
}
